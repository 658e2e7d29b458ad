//! Paying: the buyer's wish, the provider's callback, and the administrators' list. The provider is the simulated one of `spike_payments`.

mod callback;
mod list;
mod pay;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use spike_config::{Config, Profile};
use spike_domain::clock;
use spike_payments::{Callback, Deliver, PaymentProvider, SimulatedProvider, receive, sign};
use spike_stock::Stock;
use spike_store::Store;

pub(super) use callback::callback;
pub(super) use list::list;
pub(super) use pay::pay;

/// The provider of this process. Its callbacks do not leave it: they are signed and handed to the function that also
/// receives those that come over HTTP.
pub(super) fn provider(config: &Arc<Config>, store: &Store, ledger: &Stock) -> Arc<dyn PaymentProvider> {
    if config.profile == Profile::Prod {
        tracing::warn!("payments are simulated: orders are paid, and nobody's money is taken");
    }
    let late = Duration::from_millis(config.payments.simulated_delay_ms);
    let (books, config, store, ledger) = (store.clone(), config.clone(), store.clone(), ledger.clone());
    let deliver: Deliver = Arc::new(move |callback| {
        let (config, store, ledger) = (config.clone(), store.clone(), ledger.clone());
        async move { send(&config, &store, &ledger, callback).await }.boxed()
    });
    Arc::new(SimulatedProvider::new(books, late, Some(deliver)))
}

async fn send(config: &Config, store: &Store, ledger: &Stock, callback: Callback) {
    let body = serde_json::to_vec(&callback).expect("a callback has string keys and so always encodes");
    let now_s = clock::now_ms() / 1000;
    let signature = sign(config.payments.callback_secret.expose().as_bytes(), now_s, &body);
    let received = receive(store, ledger, &config.payments, now_s, &signature, &body).await;
    if let Err(error) = received {
        // The resolver asks about it; a provider would send it again.
        tracing::warn!(%error, attempt = %callback.attempt_id, "a simulated callback was refused");
    }
}
