//! Ten times more presses than the shop can take: how many of those it could serve it still serves.
//!
//! The peak is the best that closed loops of a few and of many connections get. Then ten times as many arrive, open loop, each with a buyer of its own.
//! The shop (gateway, worker and servers) has one CPU, the generator the other, so that the one cannot starve the other. The
//! generator schedules every arrival and counts it, but can have only so many under way: the others wait in its line until their
//! client gives up, which is what a full accept queue does to them.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::Mode;
use loadtest::open::{OpenResult, OpenSpec, Scenario, Second, Stream};
use loadtest::record::{Phase, cpu as usage};
use spike_domain::EventId;
use tokio::time::{Instant, sleep};

use super::say;
use crate::contender::{Contender, OUR_CPU, THEIR_CPU};
use crate::cpu::{self, Pids};
use crate::drive;
use crate::load;
use crate::ring::Ring;
use crate::shop::Processes;
use crate::table::{Better, Row, median};

const TIMES: f64 = 10.0;
/// Connections of the closed loops, one after the other.
const PEAK_CONNECTIONS: [usize; 2] = [64, 512];
/// Buyers of a round: their tokens are made before it, some 400 bytes each.
const BUYERS_MAX: f64 = 500_000.0;
/// Connections from one address.
const EACH: usize = 16;
/// The longest a client waits for its answer, and of that time for a connection: whoever finds none leaves soon, so that those who
/// have one have the time to be answered.
const DEADLINE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_millis(200);
/// The backlog of a round must be written by then.
const WRITTEN: Duration = Duration::from_secs(120);

/// How thorough.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Peak and overload, so often in turn.
    pub rounds: usize,
    /// Seconds of overload, as long as the buyers last.
    pub seconds: u32,
    /// Orders of a peak.
    pub orders: usize,
    /// The most connections of the overload.
    pub connections: usize,
}

/// Measures the row; also the phases of its overloads, for a record.
///
/// # Errors
/// When the shop fails, or says yes to others than those who took something from its stock.
pub async fn measure(ring: &Ring, plan: Plan) -> anyhow::Result<(Row, Vec<Phase>)> {
    loadtest::open_files::raise()?;
    cpu::stay_on(&[OUR_CPU])?;
    for pid in ring.servers()?.into_values() {
        cpu::pin(pid, &[THEIR_CPU])?;
    }
    let Processes { gateway, worker } = Processes::start(ring, Some(THEIR_CPU)).await?;
    let contender = Contender { process: gateway, at: ring.base() };
    let begin = Instant::now();
    let (mut ratios, mut lines, mut phases) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        let peak = peak(ring, &contender, plan.orders).await?;
        let started_s = begin.elapsed().as_secs_f64();
        let over = overload(ring, &contender, peak, plan, round as u64).await?;
        let ratio = 100.0 * over.goodput / peak;
        let line = format!("peak {peak:.0}/s, {}", over.line());
        say(&format!("overload, round {round}: {ratio:.0} % of the peak; {line}"));
        lines.push(format!("round {round}: {line}"));
        phases.push(over.phase(round, started_s, peak));
        ratios.push(ratio);
    }
    contender.process.leave().await;
    worker.leave().await;
    let row = Row {
        name: "ten times overload, open loop: goodput against peak",
        figure: median(&ratios),
        unit: " %",
        target: 90.0,
        moonshot: 97.0,
        better: Better::More,
        rounds: ratios,
        beside: lines,
    };
    Ok((row, phases))
}

/// Accepted orders a second of the best of the closed loops.
async fn peak(ring: &Ring, contender: &Contender, orders: usize) -> anyhow::Result<f64> {
    let mut best = 0.0_f64;
    for connections in PEAK_CONNECTIONS {
        let event = ring.open_sale(u32::try_from(orders)?, 1, 500).await?.event;
        let (result, _) = load::press(ring, contender, event, orders, connections, &Pids::new()).await?;
        written(ring, event).await?;
        ring.forget(event).await?;
        let per_s = result.figures.counts.accepted as f64 / result.elapsed.as_secs_f64();
        say(&format!("closed loop, {connections} connections: {per_s:.0} accepted a second"));
        best = best.max(per_s);
    }
    Ok(best)
}

/// What came of an overload.
struct Over {
    result: OpenResult,
    seconds: u32,
    goodput: f64,
    drained: Duration,
    memory_mib: [f64; 2],
}

async fn overload(
    ring: &Ring,
    contender: &Contender,
    peak: f64,
    plan: Plan,
    seed: u64,
) -> anyhow::Result<Over> {
    let rate_per_s = TIMES * peak;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
    let seconds = plan.seconds.min((BUYERS_MAX / rate_per_s) as u32).max(2);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below a million")]
    let count = (rate_per_s * f64::from(seconds) * 1.02) as u32;
    // Something for everybody: nobody is refused because the stock is gone.
    let event = ring.open_sale(count, 1, 500).await?.event;
    let buyers = ring.buyers(count as usize);
    let spec = OpenSpec {
        base: contender.at,
        host: contender.at.to_string(),
        streams: vec![Stream {
            name: "spike".to_owned(),
            rate_per_s,
            scenario: Scenario::Spike { event, buyers, quantity: 1 },
        }],
        duration: Duration::from_secs(seconds.into()),
        requests_max: u64::MAX,
        connections_max: plan.connections,
        deadline: DEADLINE,
        patience: PATIENCE,
        seed,
        sources: sources(plan.connections),
    };
    let ledger = ring.ledger().await?;
    let stock = async || anyhow::Ok(ledger.meta(event).await?.and_then(|meta| meta.stock).unwrap_or(0));
    let (before, memory) = (stock().await?, memory_mib(contender)?);
    let result = drive::drive(spec, Mode::Silent).await?;
    let memory_mib = [memory, memory_mib(contender)?];
    let last_answer = Instant::now();
    written(ring, event).await?;
    let drained = last_answer.elapsed();
    let taken = before - stock().await?;
    let figures = &result.streams[0].figures;
    let (told, unsure) = (figures.answers.accepted, figures.answers.errors);
    ensure!(
        (told..=told + unsure).contains(&taken),
        "{told} buyers were told yes and {unsure} nothing, {taken} units left the ledger"
    );
    ring.forget(event).await?;
    let goodput = goodput(&figures.seconds, seconds);
    Ok(Over { seconds, goodput, drained, memory_mib, result })
}

fn sources(connections: usize) -> Vec<Ipv4Addr> {
    drive::sources(true, connections, EACH)
}

/// Accepted a second while everybody arrives, without the first second, in which connections are opened.
fn goodput(seconds: &[Second], arriving: u32) -> f64 {
    let steady = seconds.iter().filter(|second| second.at_s > 0 && second.at_s < arriving);
    steady.map(|second| second.accepted).sum::<u64>() as f64 / f64::from(arriving.max(2) - 1)
}

fn memory_mib(contender: &Contender) -> anyhow::Result<f64> {
    let rss_kib = usage::read(contender.process.pid())?.rss_kib.context("memory that may be read")?;
    Ok(rss_kib as f64 / 1024.0)
}

/// Waits until every accepted order of `event` has its row.
async fn written(ring: &Ring, event: EventId) -> anyhow::Result<()> {
    let ledger = ring.ledger().await?;
    let deadline = Instant::now() + WRITTEN;
    loop {
        let left = ledger.meta(event).await?.and_then(|meta| meta.inflight);
        if left == Some(0) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{left:?} units of event {event} are still in flight");
        sleep(Duration::from_millis(100)).await;
    }
}

impl Over {
    fn line(&self) -> String {
        let figures = &self.result.streams[0].figures;
        let seconds = f64::from(self.seconds);
        let per_s = |count: u64| count as f64 / seconds;
        let answers = &figures.answers;
        let [before, after] = self.memory_mib;
        format!(
            "offered {:.0}/s for {seconds} s, of which {:.0}/s were sent over {} connections and {:.0}/s given up unsent after {} ms; \
             goodput {:.0}/s; refused {}, errors {}; P99 of those accepted {:.0} ms; gateway memory {before:.0} to {after:.0} MiB; \
             backlog written {:.1} s after the last answer",
            per_s(figures.offered),
            per_s(figures.sent),
            self.result.connections,
            per_s(figures.not_sent),
            PATIENCE.as_millis(),
            self.goodput,
            answers.refused + answers.rejected,
            answers.errors,
            figures.accepted_latency.p99_ms,
            self.drained.as_secs_f64(),
        )
    }

    fn phase(&self, round: usize, started_s: f64, peak: f64) -> Phase {
        Phase {
            name: format!("ten times overload, round {round}"),
            started_s,
            seconds: self.result.elapsed.as_secs_f64(),
            streams: self.result.streams.iter().map(|stream| stream.figures.clone()).collect(),
            notes: vec![
                format!("Peak before it, the best of closed loops: {peak:.0}/s. {}.", self.line()),
                "The generator schedules all of the offered load on one CPU; what it can have under way is bounded by its \
                 connections and by that CPU. Nobody who waits in its line is left out of the figures."
                    .to_owned(),
            ],
            ..Phase::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goodput_is_that_of_the_seconds_in_which_people_arrive() {
        let second = |at_s, accepted| Second { at_s, accepted, ..Second::default() };
        let seconds = [second(0, 5), second(1, 100), second(2, 120), second(3, 70), second(4, 30)];
        assert!((goodput(&seconds, 3) - 110.0).abs() < 1e-9);
        assert!((goodput(&seconds, 2) - 100.0).abs() < 1e-9);
        assert_eq!(goodput(&[], 3), 0.0);
    }
}
