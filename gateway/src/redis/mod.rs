//! The hot cores' own Redis client: one pipelined connection a core and master, no locks, no timer a call.

pub mod cluster;
pub mod link;
pub mod once;
pub mod resp;
pub mod slots;

pub use cluster::Cluster;
pub use link::{Copies, Kept, Link, LinkError};
pub use resp::Reply;
