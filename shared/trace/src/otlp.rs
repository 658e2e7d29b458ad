//! The messages of OTLP 1 as far as spans need them, and spans as such messages.
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/trace/v1/trace.proto>
//!
//! A test reads them back with OpenTelemetry's own types.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use spike_domain::TraceContext;

use crate::{Settings, Span, Value};

/// Flag of a link: whether the span it names is another process's is known, and it is.
const REMOTE: u32 = 0x300;
const STATUS_ERROR: i32 = 2;

/// One request to a collector.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

/// Who sends.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<OtlpSpan>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct OtlpSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(fixed32, tag = "6")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "OneValue", tags = "1, 3")]
    value: Option<OneValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OneValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Whole(i64),
}

/// Who sends, by OpenTelemetry's names.
pub(crate) fn resource(settings: &Settings) -> Resource {
    let attributes = [
        ("service.name", settings.service.into()),
        ("service.version", env!("CARGO_PKG_VERSION").into()),
        ("service.instance.id", settings.instance.clone().into()),
        ("deployment.environment.name", settings.environment.into()),
    ];
    Resource { attributes: attributes.map(key_value).into() }
}

/// The bytes of one request.
pub(crate) fn encode(resource: &Resource, spans: Vec<Span>) -> Vec<u8> {
    let scope = Scope { name: "spike".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let spans = spans.into_iter().map(otlp_span).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    ExportRequest { resource_spans: vec![ResourceSpans { resource: Some(resource.clone()), scope_spans }] }
        .encode_to_vec()
}

fn otlp_span(span: Span) -> OtlpSpan {
    let link = |to: &TraceContext| Link {
        trace_id: to.trace_id.to_be_bytes().into(),
        span_id: to.span_id.to_be_bytes().into(),
        flags: REMOTE | u32::from(to.sampled),
    };
    OtlpSpan {
        trace_id: span.context.trace_id.to_be_bytes().into(),
        span_id: span.context.span_id.to_be_bytes().into(),
        parent_span_id: span.parent.map(|id| id.to_be_bytes().into()).unwrap_or_default(),
        name: span.name.into_owned(),
        kind: span.kind as i32,
        start_time_unix_nano: unix_ns(span.start),
        end_time_unix_nano: unix_ns(span.end),
        attributes: span.attributes.into_iter().map(key_value).collect(),
        links: span.links.iter().map(link).collect(),
        status: span.error.map(|message| Status { message, code: STATUS_ERROR }),
        flags: u32::from(span.context.sampled),
    }
}

fn key_value((key, value): (&'static str, Value)) -> KeyValue {
    let value = match value {
        Value::Text(text) => OneValue::Text(text.into_owned()),
        Value::Whole(number) => OneValue::Whole(number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn unix_ns(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
