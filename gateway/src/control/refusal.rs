//! What a handler says when it refuses, and the one function that turns a dependency's error into a reason.

use std::error::Error as StdError;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use serde_json::Value;
use spike_domain::Reason;
use spike_reconcile::ReconcileError;
use spike_stock::{Refused, StockError};
use spike_store::{Conflict, StoreError};

use super::render::Unrendered;
use crate::envelope::FieldError;

/// Result of a handler.
pub type Result<T, E = Refusal> = std::result::Result<T, E>;

/// A refusal on its way to the client. Its cause is for the log only.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Why, as the client sees it.
    pub reason: Reason,
    /// A sentence in place of the dictionary's.
    pub detail: Option<&'static str>,
    /// Fields at fault.
    pub errors: Vec<FieldError>,
    /// What the client may need, such as an id.
    pub data: Option<Value>,
    /// Seconds for `Retry-After` in place of the dictionary's.
    pub retry_after_s: Option<u32>,
    /// What went wrong below; never leaves this process.
    pub cause: Option<Arc<dyn StdError + Send + Sync>>,
}

/// An error of a dependency.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Stock(StockError),
}

impl Refusal {
    /// Refuses with the dictionary's words.
    pub fn new(reason: Reason) -> Self {
        Self { reason, detail: None, errors: Vec::new(), data: None, retry_after_s: None, cause: None }
    }

    /// Says it in other words.
    #[must_use]
    pub fn detail(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// 429 until `wait_ms` have passed: one more try then.
    pub fn wait(wait_ms: u64) -> Self {
        let seconds = u32::try_from(wait_ms.div_ceil(1000)).unwrap_or(u32::MAX);
        Self { retry_after_s: Some(seconds.max(1)), ..Self::new(Reason::TooManyRequests) }
    }

    /// 422 naming one field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(field, message)])
    }

    /// 422 naming every field at fault.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(Reason::Validation) }
    }

    /// 500 for what must not happen.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: Some(Arc::from(cause.into())), ..Self::new(Reason::Internal) }
    }

    /// Writes the one line a refusal gets: failures at error level, everything a client did at debug. Shedding load is
    /// no failure: it says so in the metrics, and a log that grows with an attack would be one more thing to shed.
    pub(super) fn log(&self) {
        let reason = self.reason.as_str();
        let cause = self.cause.as_ref().map(|cause| chain(cause.as_ref()));
        if self.reason.status() >= 500 && self.reason != Reason::Overloaded {
            tracing::error!(reason, cause, detail = self.detail, "request failed");
        } else {
            tracing::debug!(reason, cause, errors = ?self.errors, "request refused");
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Unrendered::Refusal(Arc::new(self)).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Failure::Store(error).into()
    }
}

impl From<StockError> for Refusal {
    fn from(error: StockError) -> Self {
        Failure::Stock(error).into()
    }
}

impl From<ReconcileError> for Refusal {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::NotStanding => Self::new(Reason::Recovering),
            ReconcileError::Stock(error) => error.into(),
            ReconcileError::Store(error) => error.into(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let reason = reason_of(&failure);
        Self { cause: Some(Arc::new(failure)), ..Self::new(reason) }
    }
}

fn reason_of(failure: &Failure) -> Reason {
    match failure {
        Failure::Store(error) => match error {
            StoreError::NotFound => Reason::NotFound,
            StoreError::Unavailable(_) | StoreError::Retry(_) => Reason::Unavailable,
            StoreError::Conflict { what } => match what {
                Conflict::Email => Reason::EmailTaken,
                Conflict::Sku => Reason::SkuTaken,
                Conflict::LastAdministrator => Reason::LastAdministrator,
                Conflict::Inventory => Reason::InsufficientInventory,
                Conflict::InUse => Reason::ProductInUse,
                Conflict::Version => Reason::PreconditionFailed,
                Conflict::EventState | Conflict::Window | Conflict::Other => Reason::Conflict,
            },
            StoreError::Corrupt(_) | StoreError::Other(_) => Reason::Internal,
        },
        Failure::Stock(error) => match error {
            StockError::Refused(Refused::Full) => Reason::OutboxFull,
            StockError::Refused(Refused::Paused) => Reason::Paused,
            StockError::Refused(Refused::Closed) => Reason::Ended,
            StockError::Refused(_) | StockError::Fenced => Reason::Recovering,
            StockError::Redis(_) | StockError::Closed | StockError::Lost => Reason::Unavailable,
            StockError::Reply { .. } => Reason::Internal,
        },
    }
}

/// An error and everything below it on one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let words = cause.to_string();
        // Most errors of the stores print their source themselves.
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        below = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_errors_have_one_reason_each() {
        let cause = || "the server at 10.0.0.1 has gone".into();
        let conflict = |what| StoreError::Conflict { what };
        let cases = [
            (StoreError::NotFound.into(), Reason::NotFound),
            (StoreError::Unavailable(cause()).into(), Reason::Unavailable),
            (StoreError::Retry(cause()).into(), Reason::Unavailable),
            (StoreError::Corrupt("x".into()).into(), Reason::Internal),
            (StoreError::Other(cause()).into(), Reason::Internal),
            (conflict(Conflict::Email).into(), Reason::EmailTaken),
            (conflict(Conflict::Sku).into(), Reason::SkuTaken),
            (conflict(Conflict::Inventory).into(), Reason::InsufficientInventory),
            (conflict(Conflict::InUse).into(), Reason::ProductInUse),
            (conflict(Conflict::Version).into(), Reason::PreconditionFailed),
            (conflict(Conflict::EventState).into(), Reason::Conflict),
            (StockError::Fenced.into(), Reason::Recovering),
            (StockError::Refused(Refused::NotReady).into(), Reason::Recovering),
            (StockError::Refused(Refused::Stale { epoch: 1 }).into(), Reason::Recovering),
            (StockError::Refused(Refused::Full).into(), Reason::OutboxFull),
            (StockError::Refused(Refused::Closed).into(), Reason::Ended),
            (StockError::Reply { script: "settle", reply: "?".into() }.into(), Reason::Internal),
        ];
        for (refusal, reason) in cases as [(Refusal, Reason); 17] {
            assert_eq!(refusal.reason, reason, "{refusal:?}");
            assert!(refusal.cause.is_some() && refusal.detail.is_none(), "{refusal:?}");
        }
    }

    #[test]
    fn the_log_says_everything_once() {
        let refusal = Refusal::from(StoreError::Unavailable("no route".into()));
        assert_eq!(chain(refusal.cause.unwrap().as_ref()), "database unavailable: no route");
    }
}
