//! The crate's promises to other versions of itself.

mod frozen;
