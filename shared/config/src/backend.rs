//! A part of the system that is either a server somebody runs or our own, inside the process.

use crate::ServerUrl;

/// Which of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Ours, in this process; what it keeps is in `data.dir`. So it is in a file that names no server.
    Embedded,
    /// The server at this URL.
    Server(ServerUrl),
}

impl Backend {
    /// The server's URL; `None` for the embedded part.
    pub fn server(&self) -> Option<&ServerUrl> {
        match self {
            Self::Embedded => None,
            Self::Server(url) => Some(url),
        }
    }

    /// Whether it is ours, in this process.
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded)
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Server(url) => url.fmt(f),
        }
    }
}
