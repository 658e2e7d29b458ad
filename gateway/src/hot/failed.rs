//! The log of buys that failed. A core that wrote it itself would wait for whoever reads it, so the sidecar does; and when
//! everything fails at once, only some of it is written.

use std::cell::Cell;

use http::StatusCode;
use spike_domain::{EventId, Reason};
use tokio::sync::mpsc;

/// Lines that may wait for the sidecar.
const WAITING_MAX: usize = 256;

/// A buy that was answered with a 5xx.
#[derive(Debug)]
pub struct FailedBuy {
    /// The event.
    pub event: EventId,
    /// The hot core.
    pub core: usize,
    /// The request's id.
    pub request_id: String,
    /// The trace, where traces are on.
    pub trace_id: Option<u128>,
    /// HTTP status.
    pub status: StatusCode,
    /// What the client was told.
    pub reason: Option<Reason>,
    /// Others of this core since its last line that nothing was written about.
    pub suppressed: u64,
}

/// Where cores put what is to be written; by default nowhere.
#[derive(Debug, Clone, Default)]
pub struct FailedBuys(Option<mpsc::Sender<FailedBuy>>);

/// The way, and what the sidecar runs.
pub fn log() -> (FailedBuys, impl Future<Output = ()> + Send) {
    let (sender, mut receiver) = mpsc::channel::<FailedBuy>(WAITING_MAX);
    let writing = async move {
        while let Some(failed) = receiver.recv().await {
            let FailedBuy { event, core, request_id, status, suppressed, .. } = failed;
            let trace_id = failed.trace_id.map(|id| format!("{id:032x}"));
            let (reason, status) = (failed.reason.map(Reason::as_str), status.as_u16());
            tracing::warn!(%event, core, request_id, trace_id, status, reason, suppressed, "buy failed");
        }
    };
    (FailedBuys(Some(sender)), writing)
}

impl FailedBuys {
    /// Never waits: what finds no room is not written.
    pub fn tell(&self, failed: FailedBuy) {
        if let Some(sender) = &self.0 {
            // Full, or the process is leaving.
            let _ = sender.try_send(failed);
        }
    }
}

/// Lets so many lines a second pass, and counts those it keeps back.
#[derive(Debug, Default)]
pub struct Seldom {
    second: Cell<u64>,
    passed: Cell<u32>,
    suppressed: Cell<u64>,
}

impl Seldom {
    /// Whether a line may be written at `now_ms`, and how many were kept back since the last one.
    pub fn pass(&self, now_ms: u64, per_s_max: u32) -> Option<u64> {
        let second = now_ms / 1000;
        if self.second.replace(second) != second {
            self.passed.set(0);
        }
        if self.passed.get() >= per_s_max {
            self.suppressed.set(self.suppressed.get() + 1);
            return None;
        }
        self.passed.set(self.passed.get() + 1);
        Some(self.suppressed.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_in_a_second_and_the_next_one_tells_how_many_did_not() {
        let seldom = Seldom::default();
        let passed: Vec<_> = [0, 10, 20, 999, 1000, 1001, 1002, 3000].map(|now| seldom.pass(now, 2)).into();
        let none = None;
        assert_eq!(passed, [Some(0), Some(0), none, none, Some(2), Some(0), none, Some(1)]);
        assert_eq!(Seldom::default().pass(5, 0), None);
    }
}
