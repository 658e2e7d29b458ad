//! Cancels orders of both kinds whose time to pay is over. The database decides, by its own clock; this job only asks
//! it to.

use std::time::Duration;

use spike_telemetry::Arrow;

use crate::Jobs;
use crate::stop::Stop;

/// Orders of one kind cancelled in one call.
const ORDERS_A_CALL: u32 = 500;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    loop {
        let spike = spike_orders(&jobs).await;
        let shop = shop_orders(&jobs).await;
        // A full page: there is more, and it is late already.
        if (spike || shop) && !stop.asked() {
            continue;
        }
        if stop.rest(rest).await {
            return;
        }
    }
}

/// True when a full page was cancelled, so that there may be more.
async fn spike_orders(jobs: &Jobs) -> bool {
    match jobs.store.expire_due(ORDERS_A_CALL).await {
        Ok(cancelled) => {
            if !cancelled.is_empty() {
                Arrow::ExpireCommitted.pass();
                tracing::info!(orders = cancelled.len(), "unpaid orders cancelled");
                jobs.restock.notify_one();
            }
            cancelled.len() >= ORDERS_A_CALL as usize
        }
        Err(error) => {
            tracing::warn!(%error, "expiry waits for the database");
            false
        }
    }
}

/// The same of ordinary orders, whose units are back in the inventory with the same transaction.
async fn shop_orders(jobs: &Jobs) -> bool {
    match jobs.store.expire_shop_orders(ORDERS_A_CALL).await {
        Ok(cancelled) => {
            if !cancelled.is_empty() {
                tracing::info!(orders = cancelled.len(), "unpaid ordinary orders cancelled");
            }
            cancelled.len() >= ORDERS_A_CALL as usize
        }
        Err(error) => {
            tracing::warn!(%error, "expiry of ordinary orders waits for the database");
            false
        }
    }
}
