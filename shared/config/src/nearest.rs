//! Which known name a misspelt one was meant to be.

/// The known name with the fewest typing mistakes between, if they are few enough to be mistakes at all.
pub(crate) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    let mistakes_max = (name.chars().count() / 3).max(2);
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(mistakes, _)| *mistakes <= mistakes_max)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein distance, by rows.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("", "ab", 2), ("ab", "ab", 0), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn only_what_looks_alike_is_suggested() {
        let known = ["SPIKE_HTTP_LISTEN", "SPIKE_HTTP_BACKLOG"];
        assert_eq!(nearest("SPIKE_HTTP_LISEN", known.into_iter()).as_deref(), Some("SPIKE_HTTP_LISTEN"));
        assert_eq!(nearest("SPIKE_TOTALLY_OTHER_THING", known.into_iter()), None);
    }
}
