//! A setting that is one of a few words.

/// An enum whose values are written as words in a file or a variable.
pub(crate) trait Choice: Copy + 'static {
    /// Every word and what it means.
    const WORDS: &'static [(&'static str, Self)];

    /// The value of a word; case matters.
    fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }

    /// The words as a sentence: `dev, staging or prod`.
    fn allowed() -> String {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
        match words.split_last() {
            Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            _ => words.concat(),
        }
    }
}
