//! An event at rest, as the checker of I1 to I9 takes it.

use anyhow::Context;
use loadtest::proof::{Attempt, Facts, LedgerFacts, Marker, Row};
use spike_domain::UserId;
use spike_stock::{Claim, EventKeys};
use spike_store::{AttemptEvidence, MarkerEvidence, OrderEvidence};

use super::rest::Books;

/// Entries read at once, to count what is left of them.
const PAGE: usize = 1_000;

impl Books {
    /// Everything that is known of the event.
    ///
    /// # Errors
    /// When Redis or the database does not answer, or the event has no ledger.
    pub async fn facts(&self) -> anyhow::Result<Facts> {
        let evidence = self.store.evidence(self.event).await?;
        let charges = evidence.attempts.iter().filter_map(|row| Some((row.attempt, row.captured?))).collect();
        Ok(Facts {
            total: i64::from(evidence.total),
            per_user_limit: evidence.per_user_limit,
            reserved: i64::from(evidence.reserved),
            paid: i64::from(evidence.paid),
            rows: evidence.orders.into_iter().map(row).collect(),
            markers: evidence.markers.into_iter().map(marker).collect(),
            attempts: evidence.attempts.into_iter().map(attempt).collect(),
            charges,
            ledger: self.ledger_facts().await?,
            read_at_ms: evidence.read_at_ms,
        })
    }

    async fn ledger_facts(&self) -> anyhow::Result<LedgerFacts> {
        let meta = self.ledger.meta(self.event).await?.context("the event has no ledger")?;
        let units = |units: Option<u64>| -> anyhow::Result<i64> {
            Ok(i64::try_from(units.context("the ledger has no figures: it is being rebuilt")?)?)
        };
        Ok(LedgerFacts {
            stock: units(meta.stock)?,
            inflight: units(meta.inflight)?,
            entries: self.ledger.entries(self.event, None, PAGE).await?.entries.len() as u64,
            claims: self.claims().await?,
        })
    }

    /// Every claim, each once: a scan may show one twice.
    async fn claims(&self) -> anyhow::Result<Vec<(UserId, spike_domain::OrderId, u32)>> {
        let buyers = EventKeys::new(self.event).buyers;
        let (mut claims, mut cursor) = (std::collections::BTreeMap::new(), 0);
        loop {
            let (next, page) = self.ledger.scan(&buyers, cursor).await?;
            for (user, value) in page {
                let claim = Claim::parse(&value).with_context(|| format!("the claim of user {user}"))?;
                let user = UserId::parse(&user).with_context(|| format!("a claim of user {user:?}"))?;
                claims.insert(user, (claim.order, claim.quantity));
            }
            cursor = next;
            if cursor == 0 {
                return Ok(claims.into_iter().map(|(user, (order, units))| (user, order, units)).collect());
            }
        }
    }
}

fn row(row: OrderEvidence) -> Row {
    let OrderEvidence { order, user, quantity, status, key, accepted_at_ms, expires_at_ms, updated_at_ms } =
        row;
    Row { order, user, quantity, status, key, accepted_at_ms, expires_at_ms, updated_at_ms }
}

fn marker(row: MarkerEvidence) -> Marker {
    Marker { order: row.order, quantity: row.quantity, done_at_ms: row.done_at_ms }
}

fn attempt(row: AttemptEvidence) -> Attempt {
    Attempt { attempt: row.attempt, order: row.order, status: row.status }
}
