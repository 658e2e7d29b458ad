//! A span that has ended.

use std::borrow::Cow;
use std::time::SystemTime;

use spike_domain::TraceContext;

/// What a span is to those beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work within a process.
    Internal = 1,
    /// Answers a request.
    Server = 2,
    /// Makes one.
    Client = 3,
    /// Sends a message.
    Producer = 4,
    /// Works on a message.
    Consumer = 5,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Words.
    Text(Cow<'static, str>),
    /// A number.
    Whole(i64),
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub struct Span {
    /// Itself.
    pub context: TraceContext,
    /// The span it is a child of, in the same trace; `None` at a trace's beginning.
    pub parent: Option<u64>,
    /// What it is.
    pub kind: Kind,
    /// Few different ones: no ids.
    pub name: Cow<'static, str>,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans of other traces that it has to do with.
    pub links: Vec<TraceContext>,
    /// What went wrong.
    pub error: Option<String>,
}

impl Span {
    /// A span that begins now, a child of `parent`.
    pub fn begin(parent: TraceContext, kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        let now = SystemTime::now();
        Self {
            context: parent.at(new_span_id()),
            parent: Some(parent.span_id),
            kind,
            name: name.into(),
            start: now,
            end: now,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        }
    }

    /// With something else that is known of it.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((key, value.into()));
        self
    }

    /// It ends now.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { end: SystemTime::now(), ..self }
    }
}

/// A fresh span id; never 0.
pub fn new_span_id() -> u64 {
    fastrand::u64(1..)
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
