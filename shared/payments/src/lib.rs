//! Paying for orders: what a payment provider is, the simulated one, its signed callbacks, and the one place where a
//! verdict takes effect.
//!
//! A verdict arrives by three ways: the answer to a charge (gateway), a signed callback (gateway), and the resolver's
//! question (worker). All three end in [`settle`], which is idempotent, so their order and number do not matter.

mod callback;
mod provider;
mod settle;
mod signature;
mod simulated;

pub use callback::{BadCallback, Callback, receive};
pub use provider::{Charge, PaymentProvider, ProviderError, Refund, Standing};
pub use settle::{settle, show_paid};
pub use signature::{BadSignature, SIGNATURE_HEADER, sign, verify};
pub use simulated::{Deliver, Simulate, SimulatedProvider};
