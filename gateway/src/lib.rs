//! The gateway: presses of *buy* become accepted orders in the outbox.
//!
//! The life of a request. A hot core accepts the connection ([`hot::listener`]), bounds it in time
//! ([`hot::connection`]), and recognises a hot route without allocating ([`hot::route`]). A buy is refused from local
//! memory where possible ([`local`]), else checked (token, buckets, body) and put into the core's next reserve call
//! ([`hot::batch`]) on the core's own line to Redis ([`redis`]). Whatever is not hot crosses the [`bridge`] to the
//! [`control`] API on the sidecar's runtime, where the [`follower`] keeps local memory true and the [`relay`] carries
//! accepted orders to the broker. [`run()`] wires it all.
//!
//! Where an answer is only a guess: "sold out" from the local flag (bounded to a second, see [`local::sold_out`]) and the
//! window by a clock that follows Redis TIME to a few ms. Hot and control meet only in the bridge.

pub mod bridge;
pub mod control;
mod cross_origin;
pub mod envelope;
pub mod follower;
pub mod hot;
pub mod idempotency_key;
pub mod local;
mod lookout;
mod metrics;
pub mod rate_limit;
pub mod redis;
pub mod relay;
pub mod run;
pub mod shared;
mod shed;
pub mod sse;
pub mod tokens;
mod trace_context;
pub mod wait;

pub use run::run;
