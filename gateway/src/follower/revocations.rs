//! Keeps what is revoked true: all of it at the start, the news every half second and at each hint.
//!
//! Until the first answer nobody can say of any token that it is alive: the gateway is not ready, and answers 503 to whoever
//! comes all the same. Once it has been told, a database that is away stops nothing: what was known stays, and nobody can
//! revoke anything in a database that is away.

use std::sync::Arc;
use std::time::Duration;

use spike_store::{Revocation, Store};
use spike_telemetry::Counter;
use tokio::sync::watch;

use super::told;
use crate::shared::Shared;

/// Shortest rest between two looks, however many hints come.
const REST_MIN: Duration = Duration::from_millis(50);

/// Follows until the future is dropped.
pub(super) async fn follow(shared: Arc<Shared>, store: Store, mut hinted: watch::Receiver<()>) {
    let every = Duration::from_millis(shared.config.follower.revocations_poll_ms);
    // A transaction that ends late shows a row that is older than the newest one seen.
    let overlap_ms = 2 * shared.config.database.statement_timeout_ms;
    let (mut was_up, mut newest_ms, mut shown) = (true, 0_u64, 0_u64);
    loop {
        let rows = store.revocations(newest_ms.saturating_sub(overlap_ms)).await;
        was_up = told(was_up, "the revocations", &rows);
        if let Ok(rows) = rows {
            newest_ms = rows.iter().map(|row| row.created_at_ms).fold(newest_ms, u64::max);
            learn(&shared, &rows);
            shown = show(&shared, shown);
        }
        let next = tokio::time::Instant::now() + every;
        tokio::time::sleep(REST_MIN.min(every)).await;
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            Ok(()) = hinted.changed() => {}
        }
    }
}

/// The rows' own times are the database's; tokens live by the sale's clock. So only the distance is taken over.
fn learn(shared: &Shared, rows: &[Revocation]) {
    let now_ms = shared.clock.read().unix_ms;
    let revocations = shared.tokens.revocations();
    let news = rows.iter().map(|row| {
        let life_ms = row.until_ms.saturating_sub(row.created_at_ms);
        (row.session, row.min_ver, now_ms.saturating_add(life_ms))
    });
    revocations.learn(news, now_ms);
    revocations.mark_loaded();
}

/// Sets the gauge, which shows `shown`, to what is held now: the control API learns what it revokes by itself.
fn show(shared: &Shared, shown: u64) -> u64 {
    let revocations = shared.tokens.revocations();
    let (held, block) = (revocations.len() as u64, shared.counters.blocks() - 1);
    if held >= shown {
        shared.counters.add(block, Counter::RevocationsHeld, held - shown);
    } else {
        shared.counters.subtract(block, Counter::RevocationsHeld, shown - held);
    }
    held
}
