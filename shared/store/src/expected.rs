//! The version a caller has seen of what it wants to change: optimistic locking.

use crate::{Conflict, Result, StoreError};

/// Which versions of a thing may be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is now.
    Any,
    /// One of these.
    OneOf(Vec<u32>),
}

impl Expected {
    /// Errors: `Conflict(Version)` unless `version` is expected.
    pub(crate) fn demand(&self, version: u32) -> Result<()> {
        match self {
            Self::OneOf(versions) if !versions.contains(&version) => {
                Err(StoreError::conflict(Conflict::Version))
            }
            Self::Any | Self::OneOf(_) => Ok(()),
        }
    }
}
