//! The spans of `tracing` on their way to OpenTelemetry: the control API's requests and their SQL.

use opentelemetry::Context;
use opentelemetry::trace::{Status, TraceContextExt, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use spike_domain::TraceContext;
use std::sync::Arc;
use std::time::Duration;
use tracing::Metadata;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::sampler::ParentOr;
use super::span::{scope, span_context, trace_context};
use super::{Traces, active};

/// A layer that brings our spans over, whatever the log's level is. Events stay with the log, which redacts them.
pub(crate) fn spans_of_tracing<S>(traces: &Arc<Traces>) -> impl Layer<S> + Send + Sync + use<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let provider = SdkTracerProvider::builder()
        .with_sampler(Box::new(ParentOr(traces.ratio())) as Box<dyn opentelemetry_sdk::trace::ShouldSample>)
        .with_span_processor(Kept(traces.clone()))
        .build();
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer_with_scope(scope()))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(FilterFn::new(ours as fn(&Metadata<'_>) -> bool))
}

fn ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("spike")
}

/// Makes `span` a child of what a client has begun, if anything, and tells where it is; `None` when traces are off. Call it
/// before the span is entered.
pub fn continue_from(span: &tracing::Span, parent: Option<TraceContext>) -> Option<TraceContext> {
    active()?;
    if let Some(parent) = parent {
        let parent = Context::new().with_remote_span_context(span_context(parent, true));
        // Fails only for a span that no layer knows.
        let _ = span.set_parent(parent);
    }
    trace_context(span.context().span().span_context())
}

/// Hands over what is sampled, what has failed, and requests that took long.
#[derive(Debug)]
struct Kept(Arc<Traces>);

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let failed = matches!(span.status, Status::Error { .. });
        let request = span.span_kind == opentelemetry::trace::SpanKind::Server;
        let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
        let took = if request { took } else { Duration::ZERO };
        if span.span_context.is_sampled() || self.0.keeps(failed, took) {
            self.0.sink.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
