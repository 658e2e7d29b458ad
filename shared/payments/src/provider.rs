//! What this system asks of whoever moves the money.

use futures_util::future::BoxFuture;
use spike_domain::{AttemptId, Money, Verdict};
use spike_store::StoreError;

use crate::Simulate;

/// A wish to take money.
#[derive(Debug, Clone, Copy)]
pub struct Charge {
    /// The provider's idempotency key: however often it is charged, the money is taken once.
    pub attempt: AttemptId,
    /// How much.
    pub amount: Money,
    /// What a simulated provider is to do; a real one does not look.
    pub simulate: Simulate,
}

/// What the provider knows of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It never heard of it.
    Unknown,
    /// It has not decided.
    Undecided,
    /// It has decided, for good.
    Decided(Verdict),
}

/// What became of a wish to give money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refund {
    /// It is given back, by this call or by one before it.
    Made,
    /// It will not be: the provider has not captured it, or refuses.
    Refused,
}

/// Why there is no answer. Whether money was taken is not known then.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It could not be reached, or is in trouble.
    #[error("payment provider: {0}")]
    Unavailable(#[source] StoreError),
}

/// A payment provider. Callers bound its time; a call that is dropped may still take effect.
pub trait PaymentProvider: Send + Sync {
    /// Takes the money, once an attempt.
    fn charge(&self, charge: Charge) -> BoxFuture<'_, Result<Verdict, ProviderError>>;

    /// Asks about an attempt.
    fn inquire(&self, attempt: AttemptId) -> BoxFuture<'_, Result<Standing, ProviderError>>;

    /// Gives an attempt up: one that it never heard of is declined for good, whoever charges it afterwards. Returns how
    /// the attempt stands now; a charge that was faster keeps its verdict.
    fn void(&self, attempt: AttemptId) -> BoxFuture<'_, Result<Standing, ProviderError>>;

    /// Gives the money of a captured attempt back, once an attempt however often it is asked for.
    fn refund(&self, attempt: AttemptId, amount: Money) -> BoxFuture<'_, Result<Refund, ProviderError>>;
}
