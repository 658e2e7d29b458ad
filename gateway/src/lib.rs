//! (being written)
pub mod envelope;
pub mod relay;
pub mod tokens;
