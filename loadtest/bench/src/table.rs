//! The table of `make bench`: each row a figure, what it is held against, and what it should reach.

use std::fmt::Write as _;

/// Which side of the target is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The figure should be at most the target.
    Less,
    /// The figure should be at least the target.
    More,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What is measured.
    pub name: &'static str,
    /// The measured figure: the median of the rounds, where there are several.
    pub figure: f64,
    /// Its unit, as it follows a number.
    pub unit: &'static str,
    /// What it should reach.
    pub target: f64,
    /// What would be a wonder.
    pub moonshot: f64,
    /// Which side is good.
    pub better: Better,
    /// The figure of each round.
    pub rounds: Vec<f64>,
    /// What it is made of, and the peers' figures.
    pub beside: Vec<String>,
}

impl Row {
    /// Whether the target is reached.
    pub fn met(&self) -> bool {
        self.reaches(self.target)
    }

    fn reaches(&self, target: f64) -> bool {
        match self.better {
            Better::Less => self.figure <= target,
            Better::More => self.figure >= target,
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.reaches(self.moonshot), self.met()) {
            (true, _) => "moonshot",
            (false, true) => "met",
            (false, false) => "MISSED",
        }
    }

    fn sign(&self) -> char {
        match self.better {
            Better::Less => '≤',
            Better::More => '≥',
        }
    }
}

/// The middle of the figures; the mean of the two in the middle where there is an even number. NaN of none.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The rows as a table of Markdown, which is also readable as it is.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| | figure | target | moonshot | | rounds |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let rounds = row.rounds.iter().map(|&round| number(round)).collect::<Vec<_>>().join(" · ");
        let sign = row.sign();
        let _ = writeln!(
            text,
            "| {} | **{}{}** | {sign} {}{} | {sign} {}{} | {} | {rounds} |",
            row.name,
            number(row.figure),
            row.unit,
            number(row.target),
            row.unit,
            number(row.moonshot),
            row.unit,
            row.verdict(),
        );
    }
    for row in rows.iter().filter(|row| !row.beside.is_empty()) {
        let _ = writeln!(text, "\n{}:\n", row.name);
        for line in &row.beside {
            let _ = writeln!(text, "- {line}");
        }
    }
    text
}

/// Three digits that count, and no more than needed.
pub fn number(figure: f64) -> String {
    let text = match figure.abs() {
        size if size >= 100.0 => return format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(figure: f64, better: Better) -> Row {
        Row {
            name: "a thing",
            figure,
            unit: "x",
            target: 2.0,
            moonshot: if better == Better::Less { 1.0 } else { 4.0 },
            better,
            rounds: vec![figure],
            beside: vec!["a peer".into()],
        }
    }

    #[test]
    fn a_figure_is_held_against_its_target_from_the_right_side() {
        for (figure, better, verdict) in [
            (0.9, Better::Less, "moonshot"),
            (2.0, Better::Less, "met"),
            (2.1, Better::Less, "MISSED"),
            (1.9, Better::More, "MISSED"),
            (3.0, Better::More, "met"),
            (4.0, Better::More, "moonshot"),
            (f64::NAN, Better::Less, "MISSED"),
            (f64::NAN, Better::More, "MISSED"),
        ] {
            assert_eq!(row(figure, better).verdict(), verdict, "{figure} {better:?}");
        }
    }

    #[test]
    fn the_table_has_a_line_a_row_and_its_peers_below() {
        let text = markdown(&[row(1.234, Better::Less), row(250.6, Better::More)]);
        assert!(text.contains("| a thing | **1.23x** | ≤ 2x | ≤ 1x | met | 1.23 |"), "{text}");
        assert!(text.contains("| a thing | **251x** | ≥ 2x | ≥ 4x | moonshot | 251 |"), "{text}");
        assert!(text.contains("- a peer"));
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!([number(0.0), number(12.34), number(1.0), number(1234.5)], ["0", "12.3", "1", "1234"]);
    }
}
