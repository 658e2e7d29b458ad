//! The contract's own files and routes.

pub mod conformity;
mod conventions;
mod dictionary;
mod pages;
