//! The end of every fault: when all has come to rest, what buyers were told, Redis and the database are one story.

use loadtest::{Audit, AuditInput, Buyer, History, OrderRow, PressPlan, Progress, SaleResult, SaleSpec};
use spike_domain::{Conservation, EventId, OrderId, UserId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

use crate::poll::until;
use crate::system::System;

/// A sale that loadtest runs, and how many of its presses have been answered.
pub struct Running {
    spec: SaleSpec,
    progress: Arc<Progress>,
    task: JoinHandle<Result<SaleResult, loadtest::SaleError>>,
}

impl System {
    /// Lets new buyers press, each `presses` times, from the opening on.
    pub fn storm(&self, event: EventId, start_at_ms: u64, buyers: usize, presses: u64) -> Running {
        self.storm_at(self.http, event, start_at_ms, buyers, presses)
    }

    /// The same at another address than the first gateway's.
    pub fn storm_at(
        &self,
        base: SocketAddr,
        event: EventId,
        start_at_ms: u64,
        buyers: usize,
        presses: u64,
    ) -> Running {
        let connections = 16;
        let sources: Vec<_> = loadtest::loopback_sources(connections).collect();
        let buyer = |(at, (user, token))| Buyer { user, token, source: sources[at % sources.len()] };
        let buyers: Vec<Buyer> = self.users(buyers).into_iter().enumerate().map(buyer).collect();
        let spec = SaleSpec {
            base,
            host: base.to_string(),
            event,
            start_at_ms,
            requests: buyers.len() as u64 * presses,
            buyers,
            connections,
            presses: PressPlan { early: 0.0, ..PressPlan::default() },
            quantity: 1,
            deadline: Duration::from_secs(10),
            seed: 1,
        };
        let progress = Arc::new(Progress::default());
        let task = self.runtime.spawn(loadtest::run(spec.clone(), progress.clone()));
        Running { spec, progress, task }
    }

    /// Waits until nothing is under way, then holds everything that buyers were told against the books.
    pub fn audit(&self, event: EventId, stock: u64, running: Running) -> (SaleResult, Audit) {
        let result = self.runtime.block_on(running.task).expect("no panic").expect("the sale ran");
        let conservation = self.at_rest(event);
        let audit = loadtest::audit(&AuditInput {
            stock,
            quantity: 1,
            requests: running.spec.requests,
            counts: result.figures.counts,
            history: &result.history,
            rows: &self.rows(event),
            conservation,
        });
        (result, audit)
    }

    /// The same for single presses: each acknowledged order has a live row of its user, and the figures add up.
    pub fn audit_acknowledged(&self, event: EventId, acknowledged: &[(UserId, OrderId)]) -> Conservation {
        let conservation = self.at_rest(event);
        let history = History { acknowledged: acknowledged.to_vec(), ..History::default() };
        let rows = self.rows(event);
        let counts = loadtest::Counts { accepted: acknowledged.len() as u64, ..Default::default() };
        let stock = u64::try_from(conservation.S).expect("a stock");
        let requests = counts.accepted;
        let audit = loadtest::audit(&AuditInput {
            stock,
            quantity: 1,
            requests,
            counts,
            history: &history,
            rows: &rows,
            conservation,
        });
        // Rows of presses whose answer was lost are theirs to keep.
        let unknown = audit.unexplained;
        let other: Vec<_> =
            audit.differences.iter().filter(|line| !line.contains("no answer explains")).collect();
        assert!(other.is_empty(), "{other:?}");
        assert_eq!(rows.len() as u64, acknowledged.len() as u64 + unknown);
        conservation
    }

    fn at_rest(&self, event: EventId) -> Conservation {
        // No answer in time is not at rest either: the disk of a busy machine may keep Redis waiting.
        let number = |command: &[&str]| -> Option<i64> {
            let text = self.ask_redis(command).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{command:?}: {text:?}")))
        };
        let key = |part: &str| format!("spike:{{{event}}}:{part}");
        until("the outbox is empty and every marker released", || {
            // Redis first: once its outbox is empty, every order has its row.
            let in_flight = number(&["GET", &key("inflight")])?;
            let waiting = number(&["XLEN", &key("outbox")])?;
            let stock = number(&["GET", &key("stock")])?;
            // A connection from before a database was killed fails once and is replaced.
            let figures = match self.runtime.block_on(self.store.audit_event(event)) {
                Err(error) if error.transient() => return None,
                figures => figures.expect("the database answers"),
            };
            let open = figures.figures.open_markers.units;
            (in_flight == 0 && waiting == 0 && open == 0).then(|| {
                assert!(figures.holds(), "{figures:?}");
                let units = |units: u64| i64::try_from(units).expect("a stock");
                Conservation {
                    S: units(figures.figures.total),
                    R: stock,
                    L: units(figures.figures.live().units),
                    F: in_flight,
                    K: units(open),
                }
            })
        })
    }

    fn rows(&self, event: EventId) -> Vec<OrderRow> {
        let rows = self.runtime.block_on(self.store.all_orders(event)).expect("the database answers");
        rows.into_iter()
            .map(|row| OrderRow {
                order: row.order,
                user: row.user,
                status: row.status,
                quantity: row.quantity,
            })
            .collect()
    }
}

impl Running {
    /// A sale under way.
    pub fn new(
        spec: SaleSpec,
        progress: Arc<Progress>,
        task: JoinHandle<Result<SaleResult, loadtest::SaleError>>,
    ) -> Self {
        Self { spec, progress, task }
    }

    /// Its end.
    pub async fn into_result(self) -> SaleResult {
        self.task.await.expect("no panic").expect("the sale ran")
    }

    /// Presses answered with an order so far.
    pub fn accepted(&self) -> u64 {
        self.progress.snapshot().counts.accepted
    }

    /// Waits until so many presses have been answered with an order.
    pub fn wait_accepted(&self, count: u64) {
        until("the sale is under way", || (self.accepted() >= count).then_some(()));
    }
}
