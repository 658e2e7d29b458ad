//! Where the relay finds entries to publish: what a former life of it left, what others left, and what is new.

use std::collections::HashMap;
use std::time::Duration;

use spike_domain::{EventId, OutboxEntry};
use spike_stock::{Stock, StockError};
use tokio::time::Instant;

/// Entries of one read. An entry holds up to 128 orders, so this fills several windows.
pub(super) const READ_ENTRIES: usize = 512;
/// Entries looked at in one search for abandoned ones.
const CLAIM_ENTRIES: usize = 256;

/// What has been read of each event.
pub(super) struct Source {
    ledger: Stock,
    consumer: String,
    claim_idle: Duration,
    positions: HashMap<EventId, Position>,
}

struct Position {
    /// Where to go on reading one's own unacknowledged entries; `None` when they are all done.
    own_after: Option<String>,
    claim_cursor: String,
    claim_at: Instant,
}

impl Position {
    fn new() -> Self {
        // Others' entries are looked for at once: this relay may be the only one left.
        Self { own_after: Some("0".into()), claim_cursor: "0-0".into(), claim_at: Instant::now() }
    }
}

impl Source {
    pub(super) fn new(ledger: Stock, consumer: String, claim_idle: Duration) -> Self {
        Self { ledger, consumer, claim_idle, positions: HashMap::new() }
    }

    /// Forgets events that are not active any more.
    pub(super) fn keep(&mut self, active: &[EventId]) {
        self.positions.retain(|event, _| active.contains(event));
    }

    /// Entries of `event` to publish now; none means that there is nothing to do. A missing group is created, so that a
    /// wiped Redis needs nobody's hand.
    pub(super) async fn read(&mut self, event: EventId) -> Result<Vec<OutboxEntry>, StockError> {
        match self.read_group(event).await {
            Err(StockError::Redis(error)) if error.code() == Some("NOGROUP") => {
                self.positions.remove(&event);
                self.ledger.ensure_group(event).await?;
                self.read_group(event).await
            }
            other => other,
        }
    }

    async fn read_group(&mut self, event: EventId) -> Result<Vec<OutboxEntry>, StockError> {
        let position = self.positions.entry(event).or_insert_with(Position::new);
        if let Some(after) = position.own_after.take() {
            let read = self.ledger.read_pending(event, &self.consumer, &after, READ_ENTRIES).await;
            // Kept on an error; gone when nothing is left. Entries deleted meanwhile may hide later ones: those are
            // found by the claim below, which takes one's own idle entries too.
            position.own_after = match &read {
                Ok(entries) => entries.last().map(|entry| entry.id.to_string()),
                Err(_) => Some(after),
            };
            let entries = read?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        let mut entries = self.ledger.read_new(event, &self.consumer, READ_ENTRIES).await?;
        if Instant::now() >= position.claim_at {
            let (idle_ms, cursor) = (millis(self.claim_idle), position.claim_cursor.as_str());
            let page = self.ledger.claim_idle(event, &self.consumer, idle_ms, cursor, CLAIM_ENTRIES).await;
            match page {
                Ok(page) => {
                    entries.extend(page.entries);
                    if page.next.is_none() {
                        position.claim_at = Instant::now() + self.claim_idle / 4;
                    }
                    position.claim_cursor = page.next.unwrap_or_else(|| "0-0".into());
                }
                // What was read is with this consumer already and must not be dropped for an error of the claim.
                Err(error) => tracing::warn!(%event, %error, "abandoned outbox entries not looked for"),
            }
        }
        Ok(entries)
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
