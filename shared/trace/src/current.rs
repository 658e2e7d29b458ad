//! What a task is working on: the span whose children are made by whatever it calls, such as the database.

use std::sync::Arc;

use spike_domain::TraceContext;

use crate::{Kind, Span, Traces};

tokio::task_local! {
    static CURRENT: Current;
}

/// A recorded span that is under way, and where its children go.
#[derive(Debug, Clone)]
pub struct Current {
    traces: Arc<Traces>,
    context: TraceContext,
}

/// What this task is working on; `None` where nothing is recorded.
pub fn current() -> Option<Current> {
    CURRENT.try_with(Clone::clone).ok()
}

impl Current {
    /// The span of `context`, if it is recorded.
    pub fn new(traces: &Arc<Traces>, context: TraceContext) -> Option<Self> {
        context.sampled.then(|| Self { traces: traces.clone(), context })
    }

    /// Runs `future` as work on `current`.
    pub async fn within<F: Future>(current: Option<Self>, future: F) -> F::Output {
        match current {
            Some(current) => CURRENT.scope(current, future).await,
            None => future.await,
        }
    }

    /// A child that begins now.
    pub fn child(&self, kind: Kind, name: &'static str) -> Span {
        Span::begin(self.context, kind, name)
    }

    /// Takes over a child that ends now, with what went wrong.
    pub fn end(&self, child: Span, error: Option<String>) {
        self.traces.record(Span { error, ..child.ended() });
    }
}
