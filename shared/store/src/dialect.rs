//! The few words in which the two databases' SQL differs. Statements are written in what both understand, and
//! ask this file for the rest.

use crate::sql::push_hex;

/// Whose SQL is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// MySQL 8 and MariaDB 10.11.
    MySql,
    /// SQLite 3.42 or later.
    Sqlite,
}

impl Dialect {
    /// The database's clock, Unix milliseconds: the start of the statement.
    pub const fn now_ms(self) -> &'static str {
        match self {
            Self::MySql => "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
            Self::Sqlite => "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)",
        }
    }

    /// Begins a transaction that writes.
    pub const fn begin(self) -> &'static str {
        match self {
            Self::MySql => "BEGIN",
            // The write lock now, not at the first write: a transaction that has read and then finds the lock
            // taken could only start over.
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// What makes a SELECT lock its rows until the transaction ends.
    pub const fn for_update(self) -> &'static str {
        match self {
            Self::MySql => "FOR UPDATE",
            Self::Sqlite => "",
        }
    }

    /// The same, but rows that somebody else has locked are left out rather than waited for.
    pub const fn for_update_of_free_rows(self) -> &'static str {
        match self {
            Self::MySql => "FOR UPDATE SKIP LOCKED",
            // Only one connection writes: no row is ever locked by another.
            Self::Sqlite => "",
        }
    }

    /// What comes after a table's name to have it read by one index and no other.
    pub fn by_index(self, index: &str) -> String {
        match self {
            Self::MySql => format!("FORCE INDEX ({index})"),
            Self::Sqlite => format!("INDEXED BY {index}"),
        }
    }

    /// What comes before a SELECT to learn how it would be run.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::MySql => "EXPLAIN",
            Self::Sqlite => "EXPLAIN QUERY PLAN",
        }
    }

    /// Appends ASCII text as a literal that needs no escaping.
    pub fn push_text(self, text: &mut String, ascii: &str) {
        match self {
            Self::MySql => push_hex(text, ascii.as_bytes()),
            // Hashes and currencies need no escaping; short text is parsed sooner.
            Self::Sqlite if ascii.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                text.push('\'');
                text.push_str(ascii);
                text.push('\'');
            }
            // A strict table takes no bytes for text.
            Self::Sqlite => {
                text.push_str("CAST(");
                push_hex(text, ascii.as_bytes());
                text.push_str(" AS TEXT)");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_could_end_its_literal_is_written_as_bytes() {
        let literal = |dialect: Dialect, ascii| {
            let mut text = String::new();
            dialect.push_text(&mut text, ascii);
            text
        };
        assert_eq!(literal(Dialect::MySql, "EUR"), "x'455552'");
        for (ascii, want) in [
            ("EUR", "'EUR'"),
            ("", "''"),
            ("a'b", "CAST(x'612762' AS TEXT)"),
            ("\0", "CAST(x'00' AS TEXT)"),
            ("a b", "CAST(x'612062' AS TEXT)"),
        ] {
            assert_eq!(literal(Dialect::Sqlite, ascii), want);
        }
    }
}
