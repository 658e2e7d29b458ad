//! Shows a run on the terminal: one line redrawn on a tty, plain lines elsewhere, nothing for machines.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::progress::{Progress, Snapshot};

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One line, redrawn every 200 ms.
    Redraw,
    /// A line a second.
    Lines,
    /// Nothing.
    Silent,
}

impl Mode {
    /// Silent when a machine reads (`--json`), otherwise by what standard error is.
    pub fn detect(json: bool) -> Self {
        match (json, std::io::stderr().is_terminal()) {
            (true, _) => Self::Silent,
            (false, true) => Self::Redraw,
            (false, false) => Self::Lines,
        }
    }

    fn interval(self) -> Duration {
        Duration::from_millis(if self == Self::Redraw { 200 } else { 1000 })
    }
}

/// A task that paints to standard error until [`Painter::finish`].
#[derive(Debug)]
pub struct Painter {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Painter {
    /// Starts painting the progress of a sale of `stock` units, `quantity` a buy.
    pub fn start(progress: Arc<Progress>, stock: u64, quantity: u32, mode: Mode) -> Self {
        let mut before = 0;
        Self::show(mode, move |interval| {
            let now = progress.snapshot();
            let answered = now.counts.answered();
            let speed = interval.map(|interval| rate(answered.saturating_sub(before), interval));
            before = answered;
            line(&now, speed, stock.saturating_sub(now.counts.accepted * u64::from(quantity)))
        })
    }

    /// Starts painting whatever `text` says, told how long ago it was last asked: `None` at the end, because what
    /// happened in the rest of an interval says nothing about a speed.
    pub fn show(mode: Mode, text: impl FnMut(Option<Duration>) -> String + Send + 'static) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            if mode != Mode::Silent {
                paint(text, mode, stopped).await;
            }
        });
        Self { stop, task }
    }

    /// Paints the last state and ends the line.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        // A painter that failed has nothing more to show; the run does not depend on it.
        let _ = self.task.await;
    }
}

async fn paint(
    mut text: impl FnMut(Option<Duration>) -> String,
    mode: Mode,
    mut stopped: watch::Receiver<bool>,
) {
    let mut at = Instant::now();
    loop {
        let last = tokio::time::timeout(mode.interval(), stopped.wait_for(|stop| *stop)).await.is_ok();
        let moment = Instant::now();
        let text = text((!last).then(|| moment - at));
        at = moment;
        let mut out = std::io::stderr().lock();
        // A closed terminal must not end a sale that is under way.
        let _ = match (mode, last) {
            (Mode::Redraw, false) => write!(out, "\r{text}\x1b[K").and_then(|()| out.flush()),
            (Mode::Redraw, true) => writeln!(out, "\r{text}\x1b[K"),
            (Mode::Lines | Mode::Silent, _) => writeln!(out, "{text}"),
        };
        if last {
            return;
        }
    }
}

/// What the painter says of `now`, with `left` units of the stock not sold.
fn line(now: &Snapshot, requests_per_s: Option<f64>, left: u64) -> String {
    if now.sent == 0 {
        return format!("waiting for the start · {} connections open", now.connected);
    }
    let speed = requests_per_s.map_or_else(String::new, |speed| format!(" · {speed:.0} requests/s"));
    let errors = match now.counts.errors {
        0 => String::new(),
        errors => format!(" · errors {errors}"),
    };
    format!(
        "stock {left}{speed} · sent {} · accepted {} · sold out {} · p95 {:.1} ms{errors}",
        now.sent, now.counts.accepted, now.counts.sold_out, now.latency.p95_ms,
    )
}

/// Events a second; 0 for no time at all.
#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
pub(crate) fn rate(events: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { events as f64 / elapsed.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Counts, Latency};

    #[test]
    fn the_line_says_what_is_left_and_how_fast_it_goes() {
        let latency = Latency { p95_ms: 12.34, ..Latency::default() };
        let counts = Counts { accepted: 100, sold_out: 150, ..Counts::default() };
        let now = Snapshot { sent: 300, counts, latency, ..Snapshot::default() };
        assert_eq!(
            line(&now, Some(400.4), 800),
            "stock 800 · 400 requests/s · sent 300 · accepted 100 · sold out 150 · p95 12.3 ms"
        );
        let failing = Snapshot { counts: Counts { errors: 7, ..counts }, ..now };
        assert_eq!(
            line(&failing, None, 0),
            "stock 0 · sent 300 · accepted 100 · sold out 150 · p95 12.3 ms · errors 7"
        );
        let waiting = Snapshot { connected: 12, ..Snapshot::default() };
        assert_eq!(line(&waiting, Some(0.0), 1000), "waiting for the start · 12 connections open");
    }

    #[test]
    fn a_rate_needs_time() {
        assert_eq!((rate(50, Duration::from_millis(500)), rate(50, Duration::ZERO)), (100.0, 0.0));
    }

    #[test]
    fn machines_see_nothing() {
        assert_eq!(Mode::detect(true), Mode::Silent);
    }

    #[tokio::test]
    async fn a_painter_ends_when_it_is_told() {
        for mode in [Mode::Silent, Mode::Redraw] {
            let painter = Painter::start(Arc::default(), 1, 1, mode);
            tokio::time::timeout(Duration::from_secs(5), painter.finish()).await.unwrap();
        }
    }
}
