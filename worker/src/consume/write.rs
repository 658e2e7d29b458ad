//! Orders of one event become rows: the first transaction, and for entries of another epoch the ledger's verdict and the
//! second one (see "Worker" in the protocol). Everything here may run twice: each step leaves what is done as it is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use spike_broker::{Backoff, topology};
use spike_domain::mutant::{self, Mutant};
use spike_domain::{EntryId, EventId, OrderId, OrderStatus, QueuedOrder, clock};
use spike_stock::{Stock, StockError};
use spike_store::{Adopted, Fenced, Poison, Store, StoreError};
use spike_telemetry::Arrow;
use tokio::time::Instant;

use super::batch::{EventBatch, regroup};
use super::bisect::Bisect;
use crate::deadlines::Deadline;
use crate::metrics::WorkerMetrics;
use crate::stop::Stop;

/// Longest rest between two attempts.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Attempts that may fail as if the database were away while it answers others: then it is this event that it cannot serve.
const ALONE_MAX: u32 = 3;
/// Orders that may be found unwritable, even as rejected ones, before the fault is looked for elsewhere.
const SPOILT_MAX: usize = 8;

/// What the database holds of a batch.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The event's epoch in the last transaction. By then all rows were there: settle with it.
    pub(crate) epoch: u64,
    /// When the orders that are new are to be paid; `None` when there are none.
    pub(crate) due: Option<Due>,
    /// The status of each order's row.
    pub(crate) rows: HashMap<OrderId, OrderStatus>,
}

/// A deadline by the database's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) at_ms: u64,
    /// How long that was from then.
    pub(crate) left: Duration,
    /// When that was.
    pub(crate) seen: Instant,
}

impl Written {
    /// Of its orders that wait to be paid.
    pub(crate) fn deadline(&self, event: EventId) -> Option<Deadline> {
        let due = self.due.filter(|_| self.rows.values().any(|status| *status == OrderStatus::Pending))?;
        // Orders of another epoch were written a little later.
        let since = u64::try_from(due.seen.elapsed().as_millis()).unwrap_or(0);
        Some(Deadline { event, due_ms: due.at_ms.saturating_add(since), left: due.left })
    }
}

/// Why a batch was not written; nothing of it is acknowledged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GaveUp {
    /// Try it later; what stands in the way is not the batch.
    #[error("{0}")]
    Later(Trouble),
    /// The worker is to leave.
    #[error("the worker is stopping")]
    Stopping,
    /// There is no such event: no row can ever be written.
    #[error("the event does not exist")]
    UnknownEvent,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Ledger(#[from] StockError),
    #[error("the epoch moved to {now} meanwhile")]
    EpochMoved { now: u64 },
}

impl Trouble {
    /// Whether it is of the orders' own making, as far as anybody can tell.
    pub(crate) fn counted(&self) -> bool {
        matches!(self, Self::Store(error) if !error.transient())
    }
}

/// Orders of a batch that could not even be rejected. The others are written all the same.
#[derive(Default)]
struct Spoilt {
    orders: usize,
    first: Option<Trouble>,
}

impl Spoilt {
    /// An error when it is pointless to go on with the batch.
    fn add(&mut self, trouble: Trouble) -> Result<(), Trouble> {
        self.orders += 1;
        if !trouble.counted() || self.orders > SPOILT_MAX {
            return Err(trouble);
        }
        self.first.get_or_insert(trouble);
        Ok(())
    }
}

pub(crate) struct Writer {
    pub(crate) store: Store,
    pub(crate) ledger: Stock,
    pub(crate) metrics: Arc<WorkerMetrics>,
}

impl Writer {
    /// Writes until every order of the batch has a row. Waits out an absent database as long as it takes, because no other
    /// event could be written either; anything else is tried later. An order that nothing can be done about does not keep
    /// the others of the batch from their rows.
    pub(crate) async fn write(
        &self,
        event: EventId,
        batch: &EventBatch,
        mut stop: Stop,
    ) -> Result<Written, GaveUp> {
        let mut backoff = Backoff::new(Duration::from_millis(50), WAIT_MAX);
        let mut alone = 0;
        loop {
            let trouble = match self.attempt(event, batch).await {
                Ok(written) => return Ok(written),
                Err(Trouble::Store(StoreError::NotFound)) => return Err(GaveUp::UnknownEvent),
                Err(trouble) => trouble,
            };
            if !matches!(&trouble, Trouble::Store(StoreError::Unavailable(_))) {
                return Err(GaveUp::Later(trouble));
            }
            if self.store.ping().await.is_ok() {
                alone += 1;
                if alone >= ALONE_MAX {
                    return Err(GaveUp::Later(trouble));
                }
            }
            tracing::warn!(%event, %trouble, attempt = backoff.failures() + 1, "batch not written yet");
            if stop.rest(backoff.next_wait()).await {
                return Err(GaveUp::Stopping);
            }
        }
    }

    async fn attempt(&self, event: EventId, batch: &EventBatch) -> Result<Written, Trouble> {
        let orders = batch.orders();
        let mut written = Written::default();
        let mut foreign: Vec<(EntryId, &QueuedOrder)> = Vec::new();
        let mut spoilt = Spoilt::default();
        let mut bisect = Bisect::new(orders.len());
        while let Some(run) = bisect.next_run() {
            let part = &orders[run.clone()];
            match self.store.insert_entries(event, &regroup(part)).await {
                Ok(outcome) => {
                    written.epoch = outcome.epoch;
                    let left = Duration::from_millis(outcome.expires_at_ms.saturating_sub(outcome.now_ms));
                    written.due = Some(Due { at_ms: outcome.expires_at_ms, left, seen: Instant::now() });
                    written.rows.extend(outcome.outcomes);
                    let of_another_epoch: HashSet<EntryId> = outcome.foreign.into_iter().collect();
                    foreign.extend(part.iter().filter(|(entry, _)| of_another_epoch.contains(entry)));
                }
                Err(error) if unspoilt(&error) => return Err(Trouble::Store(error)),
                Err(error) => {
                    if let Some(at) = bisect.failed(&run) {
                        let (entry, order) = orders[at];
                        match self.reject_poison(event, entry.epoch, batch, orders[at], &error).await {
                            Ok(status) => {
                                written.rows.insert(order.order, status);
                                written.epoch = entry.epoch;
                            }
                            Err(trouble) => spoilt.add(trouble)?,
                        }
                    }
                }
            }
        }
        if !foreign.is_empty() {
            self.adopt(event, batch, &foreign, &mut written, &mut spoilt).await?;
        }
        spoilt.first.map_or(Ok(written), Err)
    }

    /// The ledger of the present epoch decides whether late orders still have a place; then their rows are written, if that
    /// epoch still is the present one.
    async fn adopt(
        &self,
        event: EventId,
        batch: &EventBatch,
        foreign: &[(EntryId, &QueuedOrder)],
        written: &mut Written,
        spoilt: &mut Spoilt,
    ) -> Result<(), Trouble> {
        let epoch = written.epoch;
        let late: Vec<QueuedOrder> = foreign.iter().map(|(_, order)| (*order).clone()).collect();
        let counted = self.ledger.adopt(event, epoch, clock::now_ms(), &late).await?;
        Arrow::WorkerAdopted.pass();
        let verdict = |counted| if counted { Adopted::Counted } else { Adopted::Rejected };
        let judged: Vec<(QueuedOrder, Adopted)> =
            late.into_iter().zip(counted.into_iter().map(verdict)).collect();
        tracing::info!(%event, epoch, orders = judged.len(), "orders of another epoch judged by the ledger");

        let mut bisect = Bisect::new(judged.len());
        while let Some(run) = bisect.next_run() {
            match self.store.insert_adopted(event, epoch, &judged[run.clone()]).await {
                Ok(Fenced::Done(statuses)) => written.rows.extend(statuses),
                Ok(Fenced::EpochMoved { now }) => return Err(Trouble::EpochMoved { now }),
                Err(error) if unspoilt(&error) => return Err(Trouble::Store(error)),
                Err(error) => {
                    if let Some(at) = bisect.failed(&run) {
                        match self.reject_poison(event, epoch, batch, foreign[at], &error).await {
                            Ok(status) => drop(written.rows.insert(foreign[at].1.order, status)),
                            Err(trouble) => spoilt.add(trouble)?,
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The end of an order that no INSERT takes: a REJECTED row with a marker that gives its stock back, and a dead letter
    /// with the whole message for a person to look at. Its entry can then settle like any other (V11).
    async fn reject_poison(
        &self,
        event: EventId,
        epoch: u64,
        batch: &EventBatch,
        (entry, order): (EntryId, &QueuedOrder),
        error: &StoreError,
    ) -> Result<OrderStatus, Trouble> {
        if mutant::on(Mutant::PoisonRow) {
            return Ok(OrderStatus::Rejected);
        }
        let message = batch.message_of(entry);
        tracing::error!(%event, order = %order.order, %error, "order cannot be written: rejected and kept as a dead letter");
        let reason = error.to_string();
        let poison = Poison {
            order,
            source: topology::ORDERS,
            message_id: message.map(|message| message.message_id.as_str()).unwrap_or_default(),
            reason: &reason,
            payload: message.map(|message| message.body.as_slice()).unwrap_or_default(),
        };
        match self.store.insert_poison(event, epoch, poison).await.map_err(Trouble::Store)? {
            Fenced::Done(status) => {
                self.metrics.poisoned();
                Ok(status)
            }
            Fenced::EpochMoved { now } => Err(Trouble::EpochMoved { now }),
        }
    }
}

/// Whether the error says nothing about the orders: halving the batch would not help.
fn unspoilt(error: &StoreError) -> bool {
    error.transient() || matches!(error, StoreError::NotFound)
}
