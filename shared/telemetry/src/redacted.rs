//! A value that may be carried through logging code and never shows itself.

use std::fmt;

/// Prints `***`, whatever it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_way_of_printing_shows_it() {
        let token = Redacted("eyJhbGciOi");
        assert_eq!(format!("{token} {token:?} {:?}", Some(token)), "*** *** Some(***)");
        assert_eq!(token.0, "eyJhbGciOi");
    }
}
