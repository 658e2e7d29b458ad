//! The peers that the gateway is measured against: other servers that answer the same presses with the same bytes.
//!
//! - [`minihttp`]: may_minihttp, empty or with the sold-out refusal: the floor of what an HTTP answer costs.
//! - [`service`]: the conventional Rust service, axum with a Redis `ConnectionManager`, jsonwebtoken and governor; with a
//!   queue it is the front half of the conventional pipeline.
//! - [`pipeline`]: that pipeline's back half, one transaction and one acknowledgement an order.
//! - [`nginx`]: nginx with Lua, configured for one event.
//!
//! Each is a process of its own, pinned and driven by a runner. `README.md` says what they do not do, and why the
//! comparison is fair.

mod answers;
mod limiters;
mod press;
mod verifier;

pub mod lifecycle;
pub mod minihttp;
pub mod nginx;
pub mod pipeline;
pub mod queue;
pub mod service;
