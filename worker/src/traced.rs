//! The traces of a batch: of each recorded order a span from the worker's taking it up to its row.
//!
//! Thousands of orders share a transaction, so what the transaction does is shown under the first of them; the others have a
//! link to it.

use std::sync::Arc;

use spike_domain::EventId;
use spike_trace::{Current, Kind, Span, Traces};

use crate::consume::EventBatch;

/// The orders of a batch that are recorded, under way.
pub(crate) struct Processing<'t> {
    traces: &'t Arc<Traces>,
    spans: Vec<Span>,
}

impl<'t> Processing<'t> {
    /// Begins now; `None` where nothing of the batch is recorded.
    pub(crate) fn begin(traces: Option<&'t Arc<Traces>>, event: EventId, batch: &EventBatch) -> Option<Self> {
        let traces = traces?;
        let mut spans: Vec<Span> = Vec::new();
        for trace in batch.entries.iter().flat_map(|entry| &entry.traces) {
            let mut span = Span::begin(trace.context, Kind::Consumer, "process")
                .with("messaging.system", "rabbitmq")
                .with("messaging.destination.name", spike_broker::topology::ORDERS)
                .with("messaging.batch.message_count", batch.messages.len())
                .with("spike.event", event.0)
                .with("spike.order", trace.order.to_string());
            span.links.extend(spans.first().map(|first| first.context));
            spans.push(span);
        }
        (!spans.is_empty()).then_some(Self { traces, spans })
    }

    /// What the batch's work is shown under.
    pub(crate) fn current(&self) -> Option<Current> {
        self.spans.first().and_then(|span| Current::new(self.traces, span.context))
    }

    /// The batch is written, or `error` stands in the way.
    pub(crate) fn end(self, error: Option<&str>) {
        for span in self.spans {
            self.traces.record(Span { error: error.map(str::to_owned), ..span.ended() });
        }
    }
}

#[cfg(test)]
mod tests {
    use spike_domain::{EntryId, OrderId, OrderTrace, OutboxEntry, QueuedOrder, TraceContext, UserId};
    use spike_trace::Settings;

    use super::*;

    #[test]
    fn only_recorded_orders_have_spans_and_the_first_one_is_what_the_others_refer_to() {
        let settings = Settings {
            endpoint: "http://127.0.0.1:9".into(),
            service: "test",
            instance: String::new(),
            environment: "dev",
            ratio: 1.0,
            slow: None,
            buys_per_s_max: 1,
            queue_max: 64,
        };
        let traces = Traces::start(&settings).unwrap();
        let entry = |sequence, traced: bool| {
            let order = OrderId::new(sequence);
            let queued = QueuedOrder { order, user: UserId(1), quantity: 1, key: None, accepted_at_ms: 1 };
            let context = TraceContext { trace_id: sequence.into(), span_id: 1, sampled: true };
            let mut entry = OutboxEntry::new(EntryId { epoch: 7, sequence }, vec![queued]);
            entry.traces.extend(traced.then_some(OrderTrace { order, context }));
            entry
        };
        let batch = |traced: &[bool]| {
            let mut batch = EventBatch::default();
            batch.entries.extend((1..).zip(traced).map(|(sequence, &traced)| entry(sequence, traced)));
            batch
        };
        let begin = |traced: &[bool]| Processing::begin(Some(&traces), EventId(5), &batch(traced));
        assert!(begin(&[false, false]).is_none());
        assert!(Processing::begin(None, EventId(5), &batch(&[true])).is_none());
        let processing = begin(&[false, true, true]).unwrap();
        let [first, second] = &processing.spans[..] else { panic!("{:?}", processing.spans) };
        assert_eq!((first.context.trace_id, second.context.trace_id), (2, 3));
        assert_eq!((&first.links[..], &second.links[..]), (&[][..], &[first.context][..]));
        assert!(processing.current().is_some());
    }
}
