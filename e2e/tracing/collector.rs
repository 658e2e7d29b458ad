//! A collector of a test's own, which reads OTLP with OpenTelemetry's types.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Answers until the test's process ends.
pub struct Collector {
    /// Where.
    pub at: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `service.name` of who sent it.
    pub service: String,
    /// Its trace.
    pub trace_id: u128,
    /// Itself.
    pub id: u64,
    /// 0 at a trace's beginning.
    pub parent: u64,
    /// What it is called.
    pub name: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// Unix nanoseconds.
    pub start_ns: u64,
    /// Unix nanoseconds.
    pub end_ns: u64,
    /// What went wrong.
    pub error: Option<String>,
    attributes: Vec<(String, String)>,
}

impl Collector {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let keep = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = keep.clone();
                std::thread::spawn(move || serve(stream, &keep));
            }
        });
        Self { at, seen }
    }

    /// Every span so far.
    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().expect("no reader panics").clone()
    }

    /// Those of one trace.
    pub fn of(&self, trace_id: u128) -> Vec<Seen> {
        self.all().into_iter().filter(|span| span.trace_id == trace_id).collect()
    }
}

impl Seen {
    /// An attribute, a number as its digits.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Takes request after request; a sender that leaves has said all.
fn serve(stream: TcpStream, keep: &Mutex<Vec<Seen>>) {
    let mut stream = BufReader::new(stream);
    while let Some((path, body)) = request(&mut stream) {
        let request = ExportTraceServiceRequest::decode(&body[..]);
        let (status, spans) = match request {
            Ok(request) if path == "/v1/traces" => ("200 OK", spans(request)),
            _ => ("400 Bad Request", Vec::new()),
        };
        keep.lock().expect("no reader panics").extend(spans);
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let path = lines.first()?.strip_prefix("POST ")?.split(' ').next()?.to_owned();
    let length = lines
        .iter()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn spans(request: ExportTraceServiceRequest) -> Vec<Seen> {
    let mut seen = Vec::new();
    for of in request.resource_spans {
        let resource = texts(of.resource.map(|resource| resource.attributes).unwrap_or_default());
        let service = resource.into_iter().find(|(key, _)| key == "service.name").expect("a name").1;
        for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            seen.push(read(&service, span));
        }
    }
    seen
}

fn read(service: &str, span: Span) -> Seen {
    let id = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("8 bytes"));
    Seen {
        service: service.to_owned(),
        trace_id: u128::from_be_bytes(span.trace_id[..].try_into().expect("16 bytes")),
        id: id(&span.span_id),
        parent: if span.parent_span_id.is_empty() { 0 } else { id(&span.parent_span_id) },
        name: span.name,
        kind: span.kind,
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        error: span.status.filter(|status| status.code == 2).map(|status| status.message),
        attributes: texts(span.attributes),
    }
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?} is nothing that is sent"),
    };
    let value = |one: KeyValue| (one.key, text(one.value.and_then(|any| any.value).expect("a value")));
    attributes.into_iter().map(value).collect()
}
