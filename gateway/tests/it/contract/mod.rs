//! The contract's own files and routes.

mod conventions;
mod dictionary;
mod pages;
