//! The hot cores over real sockets: one core, a private Redis, a small router behind the bridge.

mod answers;
mod bad_http;
mod bridge;
mod buy;
mod core;
mod counting;
mod lane;
mod proxy;
mod raw;
mod waiting;

pub use core::{HotCore, Wishes};
