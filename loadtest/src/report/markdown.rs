//! The report as Markdown.

use std::fmt::Write as _;

use super::figures::{self, Table};
use super::number::measure;
use super::{Tuning, analysis};
use crate::record::{Phase, Record};

/// The report of one or several tests: environment, parameters and results of each, what held them up, and what was tuned.
pub fn markdown(records: &[Record], tuning: &[Tuning]) -> String {
    let mut text = String::new();
    for record in records {
        let _ = write!(text, "# {}\n\n## Environment\n\n", line(&record.title));
        table(&mut text, &figures::environment(record));
        if !record.parameters.is_empty() {
            text.push_str("## Parameters\n\n");
            table(&mut text, &figures::parameters(record));
        }
        for phase in &record.phases {
            write_phase(&mut text, phase);
        }
    }
    for record in records {
        for phase in &record.phases {
            write_analysis(&mut text, phase, record.machine.cores);
        }
    }
    if !tuning.is_empty() {
        text.push_str("## Tuning record\n\n");
        for entry in tuning {
            let _ = writeln!(text, "- [{}]({}) `{}`", line(&entry.title), entry.link, line(&entry.file));
        }
    }
    // One blank line between the parts, none at the end.
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn write_phase(text: &mut String, phase: &Phase) {
    let (seconds, started) = (measure(phase.seconds), measure(phase.started_s));
    let _ = write!(text, "## {}\n\n{seconds} s, from second {started} of the test.\n\n", line(&phase.name));
    if !phase.streams.is_empty() {
        table(text, &figures::outcomes(phase));
        text.push_str("Latency from the scheduled time of each request:\n\n");
        table(text, &figures::latencies(phase));
    }
    list(text, "Answers other than accepted ones:", &figures::words(phase));
    if let Some(audit) = &phase.audit {
        text.push_str("### Audit\n\n");
        table(text, &figures::audit(audit));
        list(text, "Differences:", &audit.differences);
    }
    list(text, "Notes:", &phase.notes);
}

fn write_analysis(text: &mut String, phase: &Phase, cores: u32) {
    let sections = analysis::sections(phase, cores);
    if !sections.is_empty() {
        let _ = write!(text, "## Bottleneck analysis: {}\n\n", line(&phase.name));
    }
    for section in sections {
        let _ = write!(text, "### {}\n\n{}\n\n", section.title, line(&section.says));
        table(text, &section.table);
    }
}

fn table(text: &mut String, table: &Table) {
    let _ = writeln!(text, "| {} |", table.columns.join(" | "));
    // Names to the left, numbers to the right.
    let first = if table.columns.first() == Some(&"S") { "---:" } else { "---" };
    let others = if table.columns == ["what", "value"] { "---" } else { "---:" };
    let rules: Vec<&str> = (0..table.columns.len()).map(|at| if at == 0 { first } else { others }).collect();
    let _ = writeln!(text, "| {} |", rules.join(" | "));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| line(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push('\n');
}

fn list(text: &mut String, head: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = write!(text, "{head}\n\n");
    for item in items {
        let _ = writeln!(text, "- {}", line(item));
    }
    text.push('\n');
}

/// On one line, with nothing that Markdown or its tables would take for markup.
fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if matches!(letter, '\\' | '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']') {
            safe.push('\\');
        }
        safe.push(letter);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample_record;

    #[test]
    fn the_report_has_its_tables_then_the_analysis_then_the_tuning() {
        let tuning =
            Tuning { file: "a/b.md".into(), link: "../a/b.md".into(), title: "Faster | by half".into() };
        let text = markdown(&[sample_record()], &[tuning]);
        for part in [
            "# Sale & crowd\n\n## Environment\n",
            "| commit | abc1234 |\n",
            "| CPU | Some CPU, 2 cores |\n",
            "| memory | 7,946 MiB |\n",
            "| buyers | 10000 |\n",
            "## sale\n\n10.3 s, from second 3.5 of the test.\n",
            "| buyers \\<new\\> | 1,000 | 10,000 | 9,990 | 10 | 9,000 | 900 | 0 | 0 | 0 | 90 | 1.00 % |\n",
            "| buyers \\<new\\> | 1.5 | 4 | 14.3 | 100 | 1,235 | 4 | 14.3 | 1.1 |\n",
            "- buyers \\<new\\>: sold-out 900, timeout 90\n",
            "| 9,000 | 0 | 9,000 | 0 | 0 | 0 | 0 | 0 | 0.81 | clean |\n",
            "- Redis was \\| warm.\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let heads: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let subjects = ["Processor", "Pools", "Indexes", "Cache hits", "Locks", "Limits", "Degradation"];
        assert_eq!(heads, [&["Audit"], &subjects[..]].concat());
        assert!(
            text.contains("warm.\n\n## Bottleneck analysis: sale\n\n### Processor\n\nThe 2 cores"),
            "{text}"
        );
        let end = "## Tuning record\n\n- [Faster \\| by half](../a/b.md) `a/b.md`\n";
        assert!(text.ends_with(end), "{text}");
        assert!(!text.contains("\n\n\n"), "{text}");
    }

    #[test]
    fn every_table_is_as_wide_as_its_head() {
        let text = markdown(&[sample_record(), sample_record()], &[]);
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair.iter().all(|line| line.starts_with('|'))) {
            assert_eq!(cells(pair[0]), cells(pair[1]), "{pair:?}");
        }
        assert_eq!(text.matches("# Sale & crowd\n").count(), 2);
    }

    #[test]
    fn a_failed_audit_says_what_it_found() {
        let mut record = sample_record();
        let audit = record.phases[0].audit.as_mut().unwrap();
        audit.oversold = 2;
        audit.differences.push("2 units sold\nbeyond the stock".into());
        let text = markdown(&[record], &[]);
        assert!(text.contains("| FAILED |") && text.contains("- 2 units sold beyond the stock\n"), "{text}");
    }
}
