//! A payment provider that moves no money, and misbehaves on demand.
//!
//! It keeps its books in the database ([`Store::record_simulated`]), so that a worker in another process asks the same
//! provider. Its callbacks are signed like anybody's and go through the same [`crate::receive`] as those that come
//! over HTTP; a process that dies before it has sent one has lost it, and the resolver asks instead.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use serde::{Deserialize, Serialize};
use spike_domain::{AttemptId, Money, Verdict};
use spike_store::Store;

use crate::{Callback, Charge, PaymentProvider, ProviderError, Refund, Standing};

/// Callbacks that `duplicate-callback` sends at once.
const DUPLICATES: usize = 3;

/// How a charge goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Simulate {
    /// Captured at once.
    #[default]
    Success,
    /// Declined at once.
    Decline,
    /// No answer; declined later, without a callback.
    Timeout,
    /// No answer; captured later, with a callback.
    LateSuccess,
    /// Captured at once, and told of by three callbacks besides.
    DuplicateCallback,
}

impl Simulate {
    /// Every way, by the words a client uses.
    pub const WORDS: [(&str, Self); 5] = [
        ("success", Self::Success),
        ("decline", Self::Decline),
        ("timeout", Self::Timeout),
        ("late-success", Self::LateSuccess),
        ("duplicate-callback", Self::DuplicateCallback),
    ];
}

/// Takes a callback to where it is received.
pub type Deliver = Arc<dyn Fn(Callback) -> BoxFuture<'static, ()> + Send + Sync>;

/// The provider.
#[derive(Clone)]
pub struct SimulatedProvider {
    store: Store,
    late: Duration,
    deliver: Option<Deliver>,
}

impl SimulatedProvider {
    /// With its books in `store`; a late verdict comes after `late`. Without `deliver` it sends no callbacks, as a
    /// process that only asks needs none.
    pub fn new(store: Store, late: Duration, deliver: Option<Deliver>) -> Self {
        Self { store, late, deliver }
    }

    async fn standing(&self, attempt: AttemptId) -> Result<Standing, ProviderError> {
        let known = self.store.simulated_payment(attempt).await.map_err(ProviderError::Unavailable)?;
        Ok(match known {
            None => Standing::Unknown,
            Some(None) => Standing::Undecided,
            Some(Some(verdict)) => Standing::Decided(verdict),
        })
    }

    async fn take(&self, charge: Charge) -> Result<Verdict, ProviderError> {
        let Charge { attempt, simulate, .. } = charge;
        let (verdict, late) = match simulate {
            Simulate::Success | Simulate::DuplicateCallback => (Verdict::Captured, false),
            Simulate::Decline => (Verdict::Declined, false),
            Simulate::Timeout => (Verdict::Declined, true),
            Simulate::LateSuccess => (Verdict::Captured, true),
        };
        let settles_in_ms = if late { u64::try_from(self.late.as_millis()).unwrap_or(u64::MAX) } else { 0 };
        let recorded = self.store.record_simulated(attempt, verdict, settles_in_ms).await;
        if recorded.map_err(ProviderError::Unavailable)? {
            self.announce(attempt, verdict, simulate);
        }
        match self.standing(attempt).await? {
            Standing::Decided(verdict) => Ok(verdict),
            // The caller's patience ends this.
            Standing::Undecided | Standing::Unknown => std::future::pending().await,
        }
    }

    /// Sends the callbacks of a new charge in the background.
    fn announce(&self, attempt: AttemptId, outcome: Verdict, simulate: Simulate) {
        let (wait, copies) = match simulate {
            Simulate::LateSuccess => (self.late, 1),
            Simulate::DuplicateCallback => (Duration::ZERO, DUPLICATES),
            Simulate::Success | Simulate::Decline | Simulate::Timeout => return,
        };
        let Some(deliver) = self.deliver.clone() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            join_all((0..copies).map(|_| deliver(Callback { attempt_id: attempt, outcome }))).await;
        });
    }
}

impl PaymentProvider for SimulatedProvider {
    fn charge(&self, charge: Charge) -> BoxFuture<'_, Result<Verdict, ProviderError>> {
        self.take(charge).boxed()
    }

    fn inquire(&self, attempt: AttemptId) -> BoxFuture<'_, Result<Standing, ProviderError>> {
        self.standing(attempt).boxed()
    }

    fn void(&self, attempt: AttemptId) -> BoxFuture<'_, Result<Standing, ProviderError>> {
        async move {
            let voided = self.store.record_simulated(attempt, Verdict::Declined, 0).await;
            voided.map_err(ProviderError::Unavailable)?;
            self.standing(attempt).await
        }
        .boxed()
    }

    /// All of it: its books know no amounts.
    fn refund(&self, attempt: AttemptId, _: Money) -> BoxFuture<'_, Result<Refund, ProviderError>> {
        async move {
            let made = self.store.refund_simulated(attempt).await.map_err(ProviderError::Unavailable)?;
            Ok(if made { Refund::Made } else { Refund::Refused })
        }
        .boxed()
    }
}
