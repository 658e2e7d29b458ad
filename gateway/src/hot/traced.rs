//! The trace of one buy. Its moments stay on the stack until the answer is made: then it is known whether the buy is kept, because
//! its trace is recorded, or because it failed or took long. Where traces are off there is none of this.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Response};
use spike_domain::{EventId, OrderId, TraceContext};
use spike_trace::{Buy, Stamps, Traces, new_span_id};

use super::Core;
use super::answer::RequestId;
use super::body::HotBody;
use super::route::Route;
use crate::trace_context::{self, TRACERESPONSE};

/// Status of a request whose client did not wait for the answer.
const GONE: u16 = 499;

/// A buy under way. Dropped before it is answered, the client has gone away.
pub struct Traced<'c> {
    core: &'c Core,
    traces: &'c Traces,
    event: EventId,
    context: TraceContext,
    /// The client's span.
    parent: Option<u64>,
    request_id: RequestId,
    reserve_span: u64,
    stamps: Cell<Stamps>,
    order: Cell<Option<OrderId>>,
    answered: Cell<bool>,
}

/// How many buys a core may still have recorded in this second: those that were sampled, whatever clients ask for, and
/// those kept for how they ended, each by a budget of their own, so that neither crowds out the other.
#[derive(Debug, Default)]
pub struct Budget {
    second: Cell<u64>,
    spent: Cell<u32>,
}

impl<'c> Traced<'c> {
    /// Begins now, where traces are on and the request is a buy.
    #[inline]
    pub fn begin(core: &'c Core, route: Route, headers: &HeaderMap, request_id: &RequestId) -> Option<Self> {
        let traces = core.shared.traces.as_deref().filter(|traces| traces.on())?;
        let Route::Buy(event) = route else { return None };
        let parent = trace_context::of(headers);
        let mut context = traces.begin(parent);
        context.sampled = context.sampled && core.trace_budget.spend(core.now_ms(), traces.buys_per_s_max());
        Some(Self {
            core,
            traces,
            event,
            context,
            parent: parent.map(|parent| parent.span_id),
            request_id: request_id.clone(),
            reserve_span: new_span_id(),
            stamps: Cell::new(Stamps { started_ns: now_ns(core), ..Stamps::default() }),
            order: Cell::new(None),
            answered: Cell::new(false),
        })
    }

    /// Its buyer goes into the next ledger call; returns the context that the order goes on in, if it is recorded.
    pub fn submitted(&self, order: OrderId) -> Option<Box<TraceContext>> {
        self.order.set(Some(order));
        self.stamps.set(Stamps { submitted_ns: now_ns(self.core), ..self.stamps.get() });
        self.context.sampled.then(|| Box::new(self.context.at(self.reserve_span)))
    }

    /// The ledger has answered.
    pub fn decided(&self) {
        self.stamps.set(Stamps { decided_ns: now_ns(self.core), ..self.stamps.get() });
    }

    /// The whole request is answered. A client that has begun the trace is told where it goes on.
    pub fn answered(&self, response: &mut Response<HotBody>) {
        if self.parent.is_some() {
            response.headers_mut().insert(TRACERESPONSE, trace_context::response(self.context));
        }
        self.end(response.status().as_u16());
    }

    /// The trace's id, as logs name it.
    pub fn trace_id(&self) -> u128 {
        self.context.trace_id
    }

    fn end(&self, status: u16) {
        self.answered.set(true);
        let stamps = Stamps { ended_ns: now_ns(self.core), ..self.stamps.get() };
        let took = Duration::from_nanos(stamps.ended_ns.saturating_sub(stamps.started_ns));
        let kept = self.context.sampled
            || (self.traces.keeps(status >= 500, took)
                && self.core.kept_budget.spend(self.core.now_ms(), self.traces.buys_per_s_max()));
        if kept {
            self.traces.record_buy(Buy {
                context: self.context,
                parent: self.parent,
                reserve_span: self.reserve_span,
                stamps,
                ended_at: SystemTime::now(),
                status,
                event: self.event,
                core: self.core.number,
                order: self.order.get(),
                request_id: self.request_id.to_string(),
            });
        }
    }
}

impl Drop for Traced<'_> {
    fn drop(&mut self) {
        if !self.answered.get() {
            self.end(GONE);
        }
    }
}

impl Budget {
    /// Whether one more may be recorded at `now_ms`, and then it counts.
    fn spend(&self, now_ms: u64, per_s_max: u32) -> bool {
        let second = now_ms / 1000;
        if self.second.replace(second) != second {
            self.spent.set(0);
        }
        let within = self.spent.get() < per_s_max;
        self.spent.set(self.spent.get().saturating_add(u32::from(within)));
        within
    }
}

/// Never 0, which is a moment that the buy did not come by.
fn now_ns(core: &Core) -> u64 {
    core.shared.clock.mono_ns().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_for_one_second() {
        let budget = Budget::default();
        let spent: Vec<bool> = [0, 500, 999, 1000, 1000, 1999, 2000].map(|now| budget.spend(now, 2)).into();
        assert_eq!(spent, [true, true, false, true, true, false, true]);
        assert!(!Budget::default().spend(0, 0));
    }
}
