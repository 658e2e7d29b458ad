//! Where the process runs: how strict it is with public secrets, and how it logs by default.

use crate::choice::Choice;

/// The deployment's profile.
///
/// `SPIKE_PROFILE`: dev, staging or prod
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A developer's machine or a test: the defaults as they are.
    Dev,
    /// A rehearsal: public secrets are warned about.
    Staging,
    /// The real sale: public or short secrets are refused.
    Prod,
}

impl Choice for Profile {
    const WORDS: &'static [(&'static str, Self)] =
        &[("dev", Self::Dev), ("staging", Self::Staging), ("prod", Self::Prod)];
}
