//! Cancels ordinary orders whose time to pay is over; their units are back in the inventory with the same transaction.
//!
//! Two places move through the orders by their deadlines. The first goes on to what has become due since, so that orders
//! that could not be cancelled never stand in front of others. The second comes round to those, one page a turn: what
//! failed, what another worker had locked and then did not cancel, and what was written late.

use std::time::Duration;

use spike_metrics::words::{CancelledBy, Job, OrderKind};
use spike_store::{Overdue, ShopExpiry, StoreError};

use crate::Jobs;
use crate::stop::Stop;

/// Orders newly due that are cancelled in one call.
const ORDERS_A_CALL: u32 = 500;
/// Orders left behind that are tried again in one turn.
const AGAIN_A_TURN: u32 = 100;

pub(crate) async fn run(jobs: Jobs, mut stop: Stop) {
    let rest = Duration::from_millis(jobs.config.worker.sweep_interval_ms);
    let (mut newest, mut again) = (Overdue::default(), Overdue::default());
    loop {
        let more = match turn(&jobs, &mut newest, &mut again).await {
            Ok(more) => more,
            Err(error) => {
                jobs.metrics.failed(Job::ExpireShop);
                tracing::warn!(%error, "expiry of ordinary orders waits for the database");
                false
            }
        };
        // There is more, and it is late already.
        if more && !stop.asked() {
            continue;
        }
        if stop.rest(rest).await {
            return;
        }
    }
}

/// A page of what has become due, and a page of what was left behind. True when more has become due.
async fn turn(jobs: &Jobs, newest: &mut Overdue, again: &mut Overdue) -> Result<bool, StoreError> {
    let page = jobs.store.expire_shop_orders(*newest, ORDERS_A_CALL).await?;
    *newest = page.reached;
    tell(jobs, &page);
    let left = jobs.store.expire_shop_orders(*again, AGAIN_A_TURN).await?;
    *again = if left.more { left.reached } else { Overdue::default() };
    tell(jobs, &left);
    Ok(page.more)
}

fn tell(jobs: &Jobs, page: &ShopExpiry) {
    jobs.metrics.cancelled(OrderKind::Shop, CancelledBy::Sweep, page.cancelled.len());
    if !page.cancelled.is_empty() {
        tracing::info!(orders = page.cancelled.len(), "unpaid ordinary orders cancelled");
    }
    if !page.failed.is_empty() {
        jobs.metrics.failed(Job::ExpireShop);
        tracing::warn!(
            orders = page.failed.len(),
            "ordinary orders past their deadline are tried again later"
        );
    }
}
