//! The run itself: one task a connection, all waiting for the same second.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use spike_domain::clock::now_ms;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::answer::{self, Answer};
use super::history::{Acknowledged, History, Notes};
use super::plan::{Lane, Press, plan};
use super::{SaleError, SaleResult, SaleSpec};
use crate::http::{self, Connection, Request, SendError, Template};
use crate::painter::rate;
use crate::progress::Progress;

/// Connections are opened over at most this long, so that the storm of the opening is one of requests.
const CONNECT_WINDOW_MAX: Duration = Duration::from_secs(2);

/// How long after the opening the first presses go out. A gateway learns the time of the ledger to a few
/// milliseconds; without this the fastest presses would measure that and nothing else.
const AFTER_OPENING: Duration = Duration::from_millis(20);

/// The pause of a connection that could not be opened, so that an absent server is not met by every press at once.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// Runs a sale to its last answer, showing its state in `progress`, which must be fresh.
///
/// Early presses go out as soon as their connection is open: give the opening a few seconds, or some will be late.
///
/// # Errors
/// A spec that cannot be run, or a gateway that cannot be reached before the start. Later failures are answers.
///
/// # Panics
/// When the kinds of answers do not add up to the requests: a fault of the generator, not of what it presses.
pub async fn run(spec: SaleSpec, progress: Arc<Progress>) -> Result<SaleResult, SaleError> {
    let now_ms = now_ms();
    spec.check(now_ms)?;
    let begin = Instant::now();
    let lead = Duration::from_millis(spec.start_at_ms - now_ms);
    probe(&spec).await?;

    let lanes: Vec<SharedLane> = plan(&spec).into_iter().map(SharedLane::new).collect();
    let early: u64 = lanes.iter().map(|lane| lane.early.len() as u64).sum();
    let sale = Arc::new(Sale {
        template: template(&spec),
        acknowledged: Acknowledged::new(spec.buyers.len()),
        opening: begin + lead + AFTER_OPENING,
        lanes,
        progress,
        spec,
    });
    let mut tasks = JoinSet::new();
    for connection in 0..sale.spec.connections {
        let share = u32::try_from(connection).unwrap_or(u32::MAX);
        let of = u32::try_from(sale.spec.connections).unwrap_or(u32::MAX);
        let opens = begin + (lead / 2).min(CONNECT_WINDOW_MAX) * share / of;
        tasks.spawn(press_all(Arc::clone(&sale), connection, opens));
    }
    let notes = tasks.join_all().await;
    let elapsed = sale.opening.elapsed();

    let figures = sale.progress.snapshot();
    assert_eq!(figures.sent, sale.spec.requests, "every planned press is sent once");
    assert_eq!(figures.counts.answered(), sale.spec.requests, "every request has exactly one kind of answer");
    Ok(SaleResult {
        history: History::join(&sale.spec.buyers, &sale.acknowledged, notes),
        requests_per_s: rate(figures.counts.answered() - early, elapsed),
        figures,
        elapsed,
    })
}

/// What the connections share.
struct Sale {
    spec: SaleSpec,
    template: Template,
    lanes: Vec<SharedLane>,
    acknowledged: Acknowledged,
    progress: Arc<Progress>,
    opening: Instant,
}

/// The presses of one source address, taken in order by the connections from it.
struct SharedLane {
    source: Option<Ipv4Addr>,
    early: Queue,
    main: Queue,
}

struct Queue {
    presses: Vec<Press>,
    next: AtomicUsize,
}

impl Queue {
    fn new(presses: Vec<Press>) -> Self {
        Self { presses, next: AtomicUsize::new(0) }
    }

    fn len(&self) -> usize {
        self.presses.len()
    }

    fn take(&self) -> Option<Press> {
        self.presses.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

impl SharedLane {
    fn new((source, lane): (Ipv4Addr, Lane)) -> Self {
        Self {
            source: (!source.is_unspecified()).then_some(source),
            early: Queue::new(lane.early),
            main: Queue::new(lane.main),
        }
    }
}

/// One connection before everything else.
async fn probe(spec: &SaleSpec) -> Result<(), SaleError> {
    let source = spec.buyers.first().map(|buyer| buyer.source).filter(|source| !source.is_unspecified());
    http::probe(spec.base, source, spec.deadline)
        .await
        .map_err(|source| SaleError::Unreachable { addr: spec.base, source })
}

fn template(spec: &SaleSpec) -> Template {
    let path = format!("/api/v1/spike/events/{}/orders", spec.event);
    Template::post(&path, &spec.host, format!(r#"{{"quantity":{}}}"#, spec.quantity).as_bytes())
}

/// The life of one connection.
async fn press_all(sale: Arc<Sale>, number: usize, opens: Instant) -> Notes {
    // Connections go round the lanes, so every lane has one and their numbers differ by one at most.
    let lane = &sale.lanes[number % sale.lanes.len()];
    let mut buyer = Presser {
        sale: &sale,
        number,
        connection: Connection::new(sale.spec.base, lane.source, sale.spec.deadline),
        request: Request::default(),
        key: String::new(),
        notes: Notes::default(),
    };
    sleep_until(opens).await;
    if buyer.connection.open().await.is_ok() {
        sale.progress.connected();
    }
    while let Some(press) = lane.early.take() {
        buyer.press(press, Instant::now()).await;
    }
    sleep_until(sale.opening).await;
    // The first press was due at the opening, whenever this task got the processor.
    let mut due = sale.opening;
    while let Some(press) = lane.main.take() {
        buyer.press(press, due).await;
        due = Instant::now();
    }
    buyer.notes
}

/// A connection with its buffers.
struct Presser<'a> {
    sale: &'a Sale,
    number: usize,
    connection: Connection,
    request: Request,
    key: String,
    notes: Notes,
}

impl Presser<'_> {
    async fn press(&mut self, press: Press, due: Instant) {
        let buyer = &self.sale.spec.buyers[press.buyer as usize];
        self.key.clear();
        if press.keyed {
            let _ = write!(self.key, "press-{:x}-{}", self.sale.spec.seed, buyer.user);
        }
        self.sale.template.fill(&mut self.request, &buyer.token, press.keyed.then_some(&self.key));
        self.sale.progress.sent();
        let (answer, absent): (Answer, bool) = match self.connection.send(&self.request).await {
            Ok(response) => (answer::read(&response), false),
            Err(error) => (answer::missing(&error), matches!(error, SendError::Connect(_))),
        };
        let latency = due.elapsed();
        let (kind, word) = self.notes.take(&self.sale.acknowledged, press.buyer, answer);
        self.sale.progress.answered(self.number, kind, word, latency);
        if absent {
            sleep(RECONNECT_PAUSE).await;
        }
    }
}
