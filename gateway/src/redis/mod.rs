//! The hot cores' own Redis client: one pipelined connection a core, no locks, no timer a call.

pub mod link;
pub mod once;
pub mod resp;

pub use link::{Link, LinkError};
pub use resp::Reply;
