//! The run itself: a dispatcher that wakes when somebody is due, at most once a millisecond, and a task a connection.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use spike_domain::clock::now_ms;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::arrivals::{Arrival, Schedule};
use super::line::Line;
use super::progress::OpenProgress;
use super::requests::{Buffers, Requests};
use super::sales::{Sales, Told};
use super::{OpenError, OpenResult, OpenSpec};
use crate::http::{Connection, SendError, probe};

/// The shortest sleep of the dispatcher, so that many arrivals cost one wake-up.
const TURN_MIN: Duration = Duration::from_millis(1);

/// Runs a load to its last outcome, showing its state in `progress`, which must be fresh and of this spec.
///
/// # Errors
/// A spec that cannot be run, or a server that cannot be reached before the start. Later failures are outcomes.
///
/// # Panics
/// When the outcomes do not add up to the arrivals: a fault of the generator, not of what it presses.
pub async fn run(spec: OpenSpec, progress: Arc<OpenProgress>) -> Result<OpenResult, OpenError> {
    spec.check()?;
    probe(spec.base, spec.sources.first().copied(), spec.deadline)
        .await
        .map_err(|source| OpenError::Unreachable { addr: spec.base, source })?;
    let run = format!("{:x}-{:x}", spec.seed, now_ms());
    let requests = |stream: &super::Stream| Requests::new(&stream.scenario, &spec.host, &run);
    let spread = spec.sources.len();
    let load = Arc::new(Load {
        requests: spec.streams.iter().map(requests).collect(),
        sales: Sales::new(&spec),
        line: Mutex::new(Line::new(Schedule::new(&spec), spec.patience, spec.connections_max, spread)),
        over: Notify::new(),
        progress,
        begin: Instant::now(),
        begin_ms: now_ms(),
        spec,
    });
    let mut connections = JoinSet::new();
    dispatch(&load, &mut connections).await;
    let notes = connections.join_all().await;
    let elapsed = load.begin.elapsed();
    let streams = load.progress.finish();
    Ok(OpenResult {
        sales: load.sales.told(notes, &streams, load.begin_ms),
        streams,
        connections: load.line().connections(),
        elapsed,
    })
}

/// What the connections share.
struct Load {
    spec: OpenSpec,
    requests: Vec<Requests>,
    sales: Sales,
    line: Mutex<Line>,
    /// Told when a connection has taken the last arrival.
    over: Notify,
    progress: Arc<OpenProgress>,
    begin: Instant,
    /// The same by the wall clock.
    begin_ms: u64,
}

impl Load {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(&self, seat: usize) -> Option<Ipv4Addr> {
        let sources = &self.spec.sources;
        (!sources.is_empty()).then(|| sources[seat % sources.len()]).filter(|source| !source.is_unspecified())
    }
}

/// Takes turns at the line until nobody waits and nobody will come.
async fn dispatch(load: &Arc<Load>, connections: &mut JoinSet<Vec<Told>>) {
    loop {
        let now = Instant::now();
        let (opened, next) = {
            let mut line = load.line();
            let opened = line.turn(now - load.begin, &load.progress);
            if line.is_over() {
                line.close();
            }
            (opened, line.next_turn())
        };
        for (seat, first) in opened {
            connections.spawn(serve(Arc::clone(load), seat, first));
        }
        let Some(next) = next else { return };
        tokio::select! {
            () = sleep_until((load.begin + next).max(now + TURN_MIN)) => {}
            () = load.over.notified() => {}
        }
    }
}

/// The life of one connection.
async fn serve(load: Arc<Load>, seat: usize, first: Arrival) -> Vec<Told> {
    let mut client = Client {
        connection: Connection::new(load.spec.base, load.source(seat), load.spec.deadline),
        buffers: Buffers::default(),
        notes: load.sales.notes(),
        load: &load,
    };
    let mut next = Some(first);
    while let Some(arrival) = next {
        client.send(arrival).await;
        next = client.next(seat).await;
    }
    client.notes
}

/// A connection with its buffers.
struct Client<'a> {
    load: &'a Load,
    connection: Connection,
    buffers: Buffers,
    notes: Vec<Told>,
}

impl Client<'_> {
    async fn send(&mut self, arrival: Arrival) {
        let Load { spec, requests, sales, progress, begin, .. } = self.load;
        let due = *begin + arrival.at + spec.deadline;
        let sent_at = begin.elapsed();
        let request = requests[arrival.stream].get(&arrival, &mut self.buffers);
        let answer = if *begin + sent_at < due {
            self.connection.send_by(request, due).await
        } else {
            Err(SendError::ConnectTimeout)
        };
        let now = begin.elapsed();
        if let Err(SendError::ConnectTimeout) = answer {
            progress.not_sent(arrival.stream, arrival.at, now);
            return;
        }
        let read = sales.read(&mut self.notes, (arrival.stream, arrival.item), (sent_at, now), &answer);
        progress.answered((arrival.stream, arrival.at), (sent_at, now), read);
    }

    async fn next(&mut self, seat: usize) -> Option<Arrival> {
        let Load { progress, begin, over, .. } = self.load;
        let mut parked = false;
        poll_fn(|context| {
            let mut line = self.load.line();
            let next = line.poll_next(seat, &mut parked, begin.elapsed(), progress, context);
            if matches!(next, Poll::Ready(Some(_))) && line.is_over() {
                over.notify_one();
            }
            next
        })
        .await
    }
}
