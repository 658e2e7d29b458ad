//! The contract's own files and routes.

mod dictionary;
mod pages;
