//! The traces of a window: of each recorded order how long it lay in the outbox, and how long until the broker confirmed it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use spike_domain::{EventId, OrderTrace, OrdersMessage, QueuedOrder};
use spike_trace::{Kind, Span, Traces};

/// Has the window's recorded orders go on at the span of their publishing; returns those spans, which end with
/// [`confirmed`]. The wait in the outbox is over now.
pub(super) fn begin(traces: &Traces, window: &mut [OrdersMessage]) -> Vec<Span> {
    let mut publishing = Vec::new();
    for message in window {
        let event = message.event;
        for entry in &mut message.entries {
            for trace in &mut entry.traces {
                let order = entry.orders.iter().find(|order| order.order == trace.order);
                let waited = waited(event, trace, order);
                let publish = Span::begin(waited.context, Kind::Producer, "publish")
                    .with("messaging.system", "rabbitmq")
                    .with("messaging.destination.name", spike_broker::topology::ORDERS)
                    .with("spike.event", event.0);
                trace.context = publish.context;
                traces.record(waited);
                publishing.push(publish);
            }
        }
    }
    publishing
}

/// The broker has the window, or not.
pub(super) fn ended(traces: &Traces, publishing: Vec<Span>, confirmed: bool) {
    for span in publishing {
        let error = (!confirmed).then(|| "not confirmed".to_owned());
        traces.record(Span { error, ..span.ended() });
    }
}

fn waited(event: EventId, trace: &OrderTrace, order: Option<&QueuedOrder>) -> Span {
    let mut span = Span::begin(trace.context, Kind::Internal, "outbox").with("spike.event", event.0);
    if let Some(order) = order {
        span = span.with("spike.order", order.order.to_string());
        span.start = accepted_at(order).min(span.end);
    }
    span
}

/// By the gateway's clock.
fn accepted_at(order: &QueuedOrder) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(order.accepted_at_ms)
}
