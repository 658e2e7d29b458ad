//! Reserve calls of one core and event: buyers who arrive while calls are in flight form the next one.
//!
//! No timer: an idle core sends a single buyer at once, a busy one sends as many as have gathered. Measured best in
//! the design's prototypes (71 k requests/s against 52 k with a call a buyer).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use spike_metrics::words::LedgerCall;
use spike_stock::Refused;
use spike_stock::reserve::{Buyer, Decided, Decision};
use spike_telemetry::{Arrow, Counter};

use super::Core;
use super::lane::SoldOutPage;
use super::measure::Call;
use crate::local::EventLocal;
use crate::redis::once::{Receiver, Sender, once};

/// Why the ledger did not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecided {
    /// It refused the whole batch.
    Refused(Refused),
    /// Its script is not loaded: closed for recovery.
    Fenced,
    /// It could not be asked; nothing happened.
    Down,
    /// It was asked and its answer is lost.
    Unknown,
    /// The buyer waited too long for a call and was not asked about.
    Late,
}

/// What the ledger decided for one buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// The decision.
    pub decision: Decision,
    /// Units left after the batch.
    pub stock: u64,
}

type Outcome = Result<Ruling, Undecided>;

struct Pending {
    buyer: Buyer,
    since_ms: u64,
    outcome: Sender<Outcome>,
}

/// The queue of one core and event.
pub struct Batch {
    event: RefCell<Arc<EventLocal>>,
    queue: RefCell<VecDeque<Pending>>,
    in_flight: Cell<usize>,
    /// What the fast lane answers once nothing is left.
    pub sold_out_page: SoldOutPage,
}

impl Batch {
    /// An empty queue for `event`.
    pub fn new(event: Arc<EventLocal>) -> Self {
        Self {
            event: RefCell::new(event),
            queue: RefCell::default(),
            in_flight: Cell::new(0),
            sold_out_page: SoldOutPage::new(),
        }
    }

    /// The event as the core sees it now.
    pub fn event(&self) -> Arc<EventLocal> {
        self.event.borrow().clone()
    }

    /// Replaces the view of the event; calls from now on name its epoch.
    pub fn set_event(&self, event: Arc<EventLocal>) {
        *self.event.borrow_mut() = event;
    }

    /// Puts a buyer into the next call. `None` instead of an outcome means that this core is going down.
    pub fn submit(self: &Rc<Self>, core: &Rc<Core>, buyer: Buyer) -> Receiver<Outcome> {
        let (outcome, receiver) = once();
        self.queue.borrow_mut().push_back(Pending { buyer, since_ms: core.now_ms(), outcome });
        self.pump(core);
        receiver
    }

    /// Starts calls while there are buyers and room in flight.
    fn pump(self: &Rc<Self>, core: &Rc<Core>) {
        let hot = &core.shared.config.hot;
        while self.in_flight.get() < hot.reserve_in_flight_max {
            let call = self.next_call(hot.reserve_batch_max, core.now_ms(), hot.redis_timeout_ms);
            if call.is_empty() {
                return;
            }
            let flight = Flight::begin(self.clone(), core.clone());
            monoio::spawn(async move {
                let Flight { batch, core } = &*flight;
                if AssertUnwindSafe(batch.call(core, call)).catch_unwind().await.is_err() {
                    core.count(Counter::Panics, 1);
                }
            });
        }
    }

    /// Takes the buyers of the next call. Who has gone away, or waited longer than a call may take, is not asked about.
    fn next_call(&self, most: usize, now_ms: u64, timeout_ms: u64) -> Vec<Pending> {
        let mut queue = self.queue.borrow_mut();
        let mut call = Vec::with_capacity(queue.len().min(most));
        while call.len() < most {
            let Some(pending) = queue.pop_front() else { break };
            if pending.outcome.abandoned() {
                continue;
            }
            if now_ms.saturating_sub(pending.since_ms) > timeout_ms {
                pending.outcome.send(Err(Undecided::Late));
                continue;
            }
            call.push(pending);
        }
        call
    }

    async fn call(&self, core: &Rc<Core>, call: Vec<Pending>) {
        let event = self.event();
        let (buyers, outcomes): (Vec<Buyer>, Vec<Sender<Outcome>>) =
            call.into_iter().map(|pending| (pending.buyer, pending.outcome)).unzip();
        core.metrics.reserve_call(buyers.len() as u64);
        let result = match event.ledger {
            None => Err(Undecided::Refused(Refused::NotReady)),
            Some(ledger) => {
                let now_ms = core.shared.clock.read().unix_ms;
                let _timed = Call::begin(core, LedgerCall::Reserve);
                core.line.reserve(&event, ledger.epoch, now_ms, &buyers).await
            }
        };
        Arrow::GatewayReserved.pass();
        learn(core, &event, &result);
        match result {
            Ok(decided) => {
                for (decision, outcome) in decided.decisions.iter().zip(outcomes) {
                    outcome.send(Ok(Ruling { decision: *decision, stock: decided.stock }));
                }
            }
            Err(undecided) => outcomes.into_iter().for_each(|outcome| outcome.send(Err(undecided))),
        }
    }
}

/// Counts a call in flight; when it ends, however it ends, the next one may start.
struct Flight {
    batch: Rc<Batch>,
    core: Rc<Core>,
}

impl Flight {
    fn begin(batch: Rc<Batch>, core: Rc<Core>) -> Rc<Self> {
        batch.in_flight.set(batch.in_flight.get() + 1);
        Rc::new(Self { batch, core })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.batch.in_flight.set(self.batch.in_flight.get() - 1);
        self.batch.pump(&self.core);
    }
}

/// What a reply says about the event as a whole.
fn learn(core: &Rc<Core>, event: &EventLocal, result: &Result<Decided, Undecided>) {
    match result {
        Ok(decided) => {
            if decided.stock == 0 {
                event.sold_out.set(decided.version, core.shared.clock.read().mono_ms());
            } else {
                event.sold_out.clear(decided.version);
            }
            if decided.decisions.contains(&Decision::Accepted) {
                core.shared.relay_wake.notify_one();
            }
        }
        Err(undecided) => {
            event.sold_out.lapse();
            if matches!(undecided, Undecided::Refused(_) | Undecided::Fenced) {
                core.shared.follower_wake.notify_one();
            }
        }
    }
}
