//! A provider's word that comes unasked.

use serde::{Deserialize, Serialize};
use spike_config::PaymentsConfig;
use spike_domain::{AttemptId, Verdict};
use spike_stock::Stock;
use spike_store::{PaymentAttempt, Store, StoreError};

use crate::settle;
use crate::signature::verify;

/// The body of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// The attempt.
    pub attempt_id: AttemptId,
    /// What was decided.
    pub outcome: Verdict,
}

/// Why a callback has no effect.
#[derive(Debug, thiserror::Error)]
pub enum BadCallback {
    /// Not signed by who knows the secret, or outside the window.
    #[error("the signature or its time is not valid")]
    Signature,
    /// Signed, and not a callback.
    #[error("not a callback: {0}")]
    Body(#[source] serde_json::Error),
    /// The attempt is unknown (`NotFound`), or the database is away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies a callback and lets its verdict take effect; one that is sent again has no second effect. Returns the
/// attempt as it is now.
///
/// # Errors
/// As [`BadCallback`].
pub async fn receive(
    store: &Store,
    ledger: &Stock,
    config: &PaymentsConfig,
    now_s: u64,
    signature: &str,
    body: &[u8],
) -> Result<PaymentAttempt, BadCallback> {
    let secret = config.callback_secret.expose().as_bytes();
    verify(secret, signature, body, now_s, config.callback_window_s).map_err(|_| BadCallback::Signature)?;
    let Callback { attempt_id, outcome } = serde_json::from_slice(body).map_err(BadCallback::Body)?;
    Ok(settle(store, ledger, attempt_id, outcome).await?)
}
