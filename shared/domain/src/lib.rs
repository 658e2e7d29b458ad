//! The words of a flash sale, with no IO: ids, money, events, orders, refusals, queue messages and token claims.
//!
//! Every other crate knows this one; it knows nobody. Times are Unix milliseconds (`*_ms`) and always passed in.

mod advice;
pub mod breaker;
pub mod claims;
pub mod clock;
pub mod conservation;
mod deadline;
pub mod event;
pub mod ids;
pub mod limits;
pub mod message;
pub mod money;
pub mod mutant;
pub mod order;
pub mod payment;
pub mod reason;
pub mod revoked;
pub mod trace;

pub use breaker::Breaker;
pub use claims::{AccessClaims, Role};
pub use conservation::Conservation;
pub use deadline::DeadlineMessage;
pub use event::{EventDef, EventState, LedgerState, Phase, Window};
pub use ids::{EventId, OrderId, ProductId, SessionId, UserId};
pub use limits::{Rate, RateLimits};
pub use message::{EntryId, OrdersMessage, OutboxEntry, QueuedOrder};
pub use money::{Currency, Money};
pub use order::{ClaimState, OrderStatus};
pub use payment::{AttemptId, AttemptStatus, Verdict};
pub use reason::Reason;
pub use revoked::Revoked;
pub use trace::{OrderTrace, TraceContext};
