//! What a collector gets, read with OpenTelemetry's own types.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Theirs;
use prost::Message;

use super::*;

/// Answers one request after the other with 200 and hands on path and body.
fn collector() -> (SocketAddr, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, (sender, receiver)) = (listener.local_addr().unwrap(), channel());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut first, mut length) = (String::new(), 0);
            stream.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.trim().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            stream
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            if sender.send((first, body)).is_err() {
                return;
            }
        }
    });
    (at, receiver)
}

fn settings(endpoint: String) -> Settings {
    Settings {
        endpoint,
        service: "spike-test",
        instance: "one".into(),
        environment: "dev",
        ratio: 1.0,
        slow: Some(Duration::from_millis(500)),
        buys_per_s_max: 10,
        queue_max: 64,
    }
}

#[test]
fn a_collector_reads_what_is_sent() {
    let (at, received) = collector();
    let traces = Traces::start(&settings(format!("http://{at}"))).unwrap();
    let parent = TraceContext { trace_id: 0x4bf9 << 100, span_id: 0xb7, sampled: true };
    let other = traces.begin(None);
    let mut span = Span::begin(parent, Kind::Producer, "publish").with("n", 7_usize).with("word", "yes");
    span.links.push(other);
    span.error = Some("no route".into());
    let (id, start) = (span.context.span_id, span.start);
    traces.record(span.ended());
    traces.flush();
    let (first, body) = received.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(first.starts_with("POST /v1/traces HTTP/1.1"), "{first}");
    let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
    let [of] = &request.resource_spans[..] else { panic!("{request:?}") };
    let service = &of.resource.as_ref().unwrap().attributes[0];
    assert_eq!(service.key, "service.name");
    assert_eq!(service.value.as_ref().unwrap().value, Some(Theirs::StringValue("spike-test".into())));
    let scope = &of.scope_spans[0];
    assert_eq!(scope.scope.as_ref().unwrap().name, "spike");
    let [span] = &scope.spans[..] else { panic!("{scope:?}") };
    assert_eq!(span.trace_id, parent.trace_id.to_be_bytes());
    assert_eq!(
        (&span.span_id[..], &span.parent_span_id[..]),
        (&id.to_be_bytes()[..], &0xb7_u64.to_be_bytes()[..])
    );
    assert_eq!((span.name.as_str(), span.kind), ("publish", 4));
    let nanos = start.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    assert_eq!(u128::from(span.start_time_unix_nano), nanos);
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    let attributes: Vec<_> =
        span.attributes.iter().map(|a| (a.key.as_str(), a.value.clone().unwrap().value.unwrap())).collect();
    assert_eq!(attributes, [("n", Theirs::IntValue(7)), ("word", Theirs::StringValue("yes".into()))]);
    assert_eq!(span.links[0].trace_id, other.trace_id.to_be_bytes());
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.message.as_str(), status.code), ("no route", 2));
}

#[test]
fn turned_off_nothing_is_recorded_whoever_asks_for_it() {
    let (at, received) = collector();
    let traces = Traces::start(&settings(format!("http://{at}"))).unwrap();
    let parent = TraceContext { trace_id: 5, span_id: 6, sampled: true };
    traces.set_sampling(Sampling::Off);
    assert!(!traces.on() && !traces.keeps(true, Duration::from_secs(9)));
    assert!(!traces.begin(Some(parent)).sampled && !traces.begin(None).sampled);
    traces.record(Span::begin(parent, Kind::Internal, "not this"));
    traces.set_sampling(Sampling::Part(0.0));
    assert!(traces.on() && traces.begin(Some(parent)).sampled && !traces.begin(None).sampled);
    traces.record(Span::begin(parent, Kind::Internal, "but this"));
    traces.flush();
    let (_, body) = received.recv_timeout(Duration::from_secs(30)).unwrap();
    let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
    let names: Vec<_> =
        request.resource_spans[0].scope_spans[0].spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["but this"]);
}

#[test]
fn a_parent_decides_whatever_the_ratio() {
    for ratio in [0.0, 1.0] {
        let traces = Traces::start(&Settings { ratio, ..settings("http://127.0.0.1:9".into()) }).unwrap();
        for sampled in [false, true] {
            let parent = TraceContext { trace_id: 5, span_id: 6, sampled };
            let begun = traces.begin(Some(parent));
            assert_eq!((begun.trace_id, begun.sampled), (5, sampled));
            assert_ne!(begun.span_id, 6);
        }
        assert_eq!(traces.begin(None).sampled, ratio > 0.0);
        assert!(traces.keeps(true, Duration::ZERO) && traces.keeps(false, Duration::from_secs(1)));
        assert!(!traces.keeps(false, Duration::from_millis(499)));
    }
}
