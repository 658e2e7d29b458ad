//! One client's connections: a request out, an answer read as what it means to whoever asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use loadtest::http::{Connection, Request, Template};
use loadtest::proof::{Bought, Ended, Paid, Seen};
use loadtest::sale::answer::{self, Answer};
use serde_json::Value;
use spike_domain::{ClaimState, EventId, OrderId};

/// Longest wait for an answer. Longer than any of a gateway's own limits but for a payment that times out.
const DEADLINE: Duration = Duration::from_secs(8);

/// A client's connections, one to each gateway.
pub struct Client {
    lines: Vec<Line>,
}

/// One connection with its buffers.
struct Line {
    connection: Connection,
    request: Request,
    host: String,
    templates: HashMap<EventId, Template>,
}

/// An answer of the control API.
struct Cold {
    status: u16,
    body: Value,
}

impl Client {
    /// Opens nothing yet.
    pub fn new(gateways: &[SocketAddr]) -> Self {
        let line = |at: &SocketAddr| Line {
            connection: Connection::new(*at, None, DEADLINE),
            request: Request::default(),
            host: at.to_string(),
            templates: HashMap::new(),
        };
        Self { lines: gateways.iter().map(line).collect() }
    }

    /// A press through one gateway.
    pub async fn buy(&mut self, gateway: usize, event: EventId, token: &str, key: Option<u64>) -> Bought {
        self.lines[gateway].buy(event, token, key).await
    }

    /// The same press through both gateways at once.
    pub async fn buy_twice(&mut self, event: EventId, token: &str, key: Option<u64>) -> [Bought; 2] {
        let (one, other) = self.lines.split_at_mut(1);
        let (one, other) = tokio::join!(one[0].buy(event, token, key), other[0].buy(event, token, key));
        [one, other]
    }

    /// A payment; `simulate` says how the provider behaves. The word of a refusal comes with it.
    pub async fn pay(
        &mut self,
        gateway: usize,
        order: OrderId,
        token: &str,
        key: u64,
        simulate: &str,
    ) -> (Paid, String) {
        let path = format!("/api/v1/orders/{order}/pay");
        let body = format!(r#"{{"simulate":"{simulate}"}}"#);
        let Some(answer) = self.lines[gateway].cold("POST", &path, token, Some(key), Some(&body)).await
        else {
            return (Paid::Unknown, String::new());
        };
        let word = answer.word();
        let told = match answer.status {
            200 => Paid::Done,
            500.. => Paid::Unknown,
            _ if word == "refund-due" => Paid::RefundDue,
            _ => Paid::Refused,
        };
        (told, word)
    }

    /// A cancellation.
    pub async fn cancel(&mut self, gateway: usize, order: OrderId, token: &str, key: u64) -> (Ended, String) {
        let path = format!("/api/v1/orders/{order}/cancel");
        let Some(answer) = self.lines[gateway].cold("POST", &path, token, Some(key), Some("{}")).await else {
            return (Ended::Unknown, String::new());
        };
        let told = match answer.status {
            200 => Ended::Done,
            500.. => Ended::Unknown,
            _ => Ended::Refused,
        };
        (told, answer.word())
    }

    /// A look at an order, as the database has it.
    pub async fn look(&mut self, gateway: usize, order: OrderId, token: &str) -> Seen {
        let path = format!("/api/v1/orders/{order}");
        let Some(answer) = self.lines[gateway].cold("GET", &path, token, None, None).await else {
            return Seen::Unknown;
        };
        match (answer.status, answer.body["data"]["status"].as_str().and_then(state)) {
            (200, Some(state)) => Seen::State(state),
            (404, _) => Seen::Missing,
            _ => Seen::Unknown,
        }
    }
}

impl Line {
    async fn buy(&mut self, event: EventId, token: &str, key: Option<u64>) -> Bought {
        let host = &self.host;
        let template = self.templates.entry(event).or_insert_with(|| {
            Template::post(&crate::system::orders_path(event), host, br#"{"quantity":1}"#)
        });
        let key = key.map(|key| format!("{key:x}"));
        template.fill(&mut self.request, token, key.as_deref());
        let answer = match self.connection.send(&self.request).await {
            Ok(response) => answer::read(&response),
            Err(error) => answer::missing(&error),
        };
        match answer {
            Answer::Acknowledged { order } => Bought::Accepted(order),
            Answer::AlreadyBought(order) => Bought::Already(order),
            Answer::SoldOut(_) => Bought::SoldOut,
            Answer::Refused(_) | Answer::Failed(_) => Bought::Refused,
            Answer::Unknown(_, order) => Bought::Unknown(order),
        }
    }

    async fn cold(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        key: Option<u64>,
        body: Option<&str>,
    ) -> Option<Cold> {
        let (bearer, key) = (format!("Bearer {token}"), key.map(|key| format!("{key:x}")));
        let mut headers = vec![("Authorization", &*bearer)];
        headers.extend(key.as_deref().map(|key| ("Idempotency-Key", key)));
        let request = Request::new(method, path, &self.host, &headers, body.map(str::as_bytes));
        let response = self.connection.send(&request).await.ok()?;
        let body = serde_json::from_slice(response.body).unwrap_or_default();
        Some(Cold { status: response.status, body })
    }
}

impl Cold {
    fn word(&self) -> String {
        self.body["reason"].as_str().unwrap_or_default().to_owned()
    }
}

fn state(word: &str) -> Option<ClaimState> {
    use ClaimState::{Cancelled, Lost, Paid, Pending, Queued, Rejected};
    [Queued, Pending, Paid, Cancelled, Rejected, Lost].into_iter().find(|state| state.as_str() == word)
}
