//! (being written)
pub mod envelope;
pub mod tokens;
