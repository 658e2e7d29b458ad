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

    /// Appends ASCII text as a literal that needs no escaping.
    pub fn push_text(self, text: &mut String, ascii: &str) {
        match self {
            Self::MySql => push_hex(text, ascii.as_bytes()),
            // A strict table takes no bytes for text.
            Self::Sqlite => {
                text.push_str("CAST(");
                push_hex(text, ascii.as_bytes());
                text.push_str(" AS TEXT)");
            }
        }
    }
}
