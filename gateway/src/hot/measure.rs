//! What a core measures of a request: where it went, how it ended and how long it took, and of one buy in sixteen its steps.

use std::cell::Cell;

use http::{Response, StatusCode};
use spike_domain::Reason;
use spike_metrics::words::{HotRoute, LedgerCall, Outcome, Stage};

use super::Core;
use super::answer::IDEMPOTENT_REPLAYED;
use super::body::HotBody;
use super::route::Route;

/// A request from its head to its answer. Dropped before that, the client has gone away.
pub struct Measured<'c> {
    core: &'c Core,
    route: HotRoute,
    since_ns: u64,
    ended: bool,
}

impl<'c> Measured<'c> {
    /// Begins now.
    pub fn begin(core: &'c Core, route: Route) -> Self {
        let since_ns = if core.metrics.measuring() { core.shared.clock.mono_ns() } else { 0 };
        Self { core, route: hot_route(route), since_ns, ended: false }
    }

    /// It is answered.
    pub fn answered(mut self, response: &Response<HotBody>) {
        self.ended = true;
        if self.core.metrics.measuring() {
            self.count(outcome(response));
        }
    }

    fn count(&self, outcome: Outcome) {
        let took_ns = self.core.shared.clock.mono_ns().saturating_sub(self.since_ns);
        self.core.metrics.request(self.route, outcome, took_ns);
    }
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        if !self.ended && self.core.metrics.measuring() {
            self.count(Outcome::Aborted);
        }
    }
}

/// The steps of one buy; of most of them nothing is measured.
pub struct Stages<'c> {
    core: &'c Core,
    /// When the last step ended; 0 where nothing is measured.
    last_ns: Cell<u64>,
    spent_ns: [Cell<u64>; Stage::COUNT],
}

impl<'c> Stages<'c> {
    /// Begins at `now_ns` of the sale's clock.
    pub fn begin(core: &'c Core, now_ns: u64) -> Self {
        let last_ns = if core.metrics.samples_press() { now_ns.max(1) } else { 0 };
        Self { core, last_ns: Cell::new(last_ns), spent_ns: Default::default() }
    }

    /// What has passed since the last step was spent on this one.
    #[inline]
    pub fn done(&self, stage: Stage) {
        if self.last_ns.get() != 0 {
            let now_ns = self.core.shared.clock.mono_ns();
            let spent = &self.spent_ns[stage as usize];
            spent.set(spent.get() + now_ns.saturating_sub(self.last_ns.get()).max(1));
            self.last_ns.set(now_ns);
        }
    }
}

impl Drop for Stages<'_> {
    fn drop(&mut self) {
        if self.last_ns.get() == 0 {
            return;
        }
        for (stage, spent) in Stage::ALL.iter().zip(&self.spent_ns) {
            if spent.get() != 0 {
                self.core.metrics.stage(*stage, spent.get());
            }
        }
    }
}

/// Times a call of the ledger, however it ends.
pub struct Call<'c> {
    core: &'c Core,
    call: LedgerCall,
    since_ns: u64,
}

impl<'c> Call<'c> {
    /// Begins now.
    pub fn begin(core: &'c Core, call: LedgerCall) -> Self {
        let since_ns = if core.metrics.measuring() { core.shared.clock.mono_ns() } else { 0 };
        Self { core, call, since_ns }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.core.metrics.measuring() {
            let took_ns = self.core.shared.clock.mono_ns().saturating_sub(self.since_ns);
            self.core.metrics.ledger_call(self.call, took_ns);
        }
    }
}

fn hot_route(route: Route) -> HotRoute {
    match route {
        Route::Buy(_) => HotRoute::Buy,
        Route::Page(_) => HotRoute::Page,
        Route::Mine(_) => HotRoute::Mine,
        Route::Status(..) => HotRoute::Status,
        Route::Stream(..) => HotRoute::Stream,
        Route::Cold => HotRoute::Control,
    }
}

fn outcome(response: &Response<HotBody>) -> Outcome {
    match response.body().refused() {
        Some(reason) => of_reason(reason),
        None => {
            let replayed = || response.headers().contains_key(IDEMPOTENT_REPLAYED);
            of_status(response.status(), replayed)
        }
    }
}

/// Of a hot refusal, whose reason is known.
fn of_reason(reason: Reason) -> Outcome {
    match reason {
        Reason::SoldOut => Outcome::SoldOut,
        Reason::AlreadyBought => Outcome::AlreadyBought,
        Reason::NotStarted | Reason::Ended => Outcome::OutsideWindow,
        Reason::Paused => Outcome::Paused,
        Reason::Recovering => Outcome::Recovering,
        Reason::Overloaded | Reason::OutboxFull => Outcome::Overloaded,
        Reason::OutcomeUnknown => Outcome::OutcomeUnknown,
        other => of_status(StatusCode::from_u16(other.status()).unwrap_or_default(), || false),
    }
}

/// Of any other answer.
fn of_status(status: StatusCode, replayed: impl FnOnce() -> bool) -> Outcome {
    match status.as_u16() {
        202 if replayed() => Outcome::Replayed,
        202 => Outcome::Accepted,
        304 => Outcome::NotModified,
        401 => Outcome::Unauthorized,
        403 => Outcome::Forbidden,
        404 => Outcome::NotFound,
        402 | 409 | 410 | 412 | 428 => Outcome::Conflict,
        429 => Outcome::Limited,
        400..=499 => Outcome::Invalid,
        503 => Outcome::Unavailable,
        500..=599 => Outcome::Internal,
        _ => Outcome::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_an_outcome_of_its_kind() {
        for reason in Reason::ALL {
            let outcome = of_reason(*reason);
            let status = reason.status();
            let failed = [
                Outcome::Paused,
                Outcome::Recovering,
                Outcome::Overloaded,
                Outcome::Unavailable,
                Outcome::OutcomeUnknown,
                Outcome::Internal,
            ];
            assert_eq!(failed.contains(&outcome), status >= 500, "{reason:?} is {outcome:?}");
            assert_eq!(outcome == Outcome::Limited, status == 429, "{reason:?}");
            assert!(![Outcome::Ok, Outcome::Accepted, Outcome::Aborted].contains(&outcome), "{reason:?}");
        }
    }

    #[test]
    fn an_answer_is_what_its_status_says() {
        let of = |status| of_status(StatusCode::from_u16(status).unwrap(), || false);
        assert_eq!([of(200), of(201), of(204), of(101)], [Outcome::Ok; 4]);
        assert_eq!([of(202), of(304), of(404)], [Outcome::Accepted, Outcome::NotModified, Outcome::NotFound]);
        assert_eq!([of(413), of(500), of(503)], [Outcome::Invalid, Outcome::Internal, Outcome::Unavailable]);
        assert_eq!(of_status(StatusCode::ACCEPTED, || true), Outcome::Replayed);
    }
}
