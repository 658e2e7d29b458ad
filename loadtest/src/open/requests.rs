//! The bytes of a stream's requests, built before the run wherever two requests of it can be the same.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::json;
use spike_domain::EventId;

use super::Arrival;
use super::scenario::{ProductToOrder, Scenario};
use crate::http::{Request, Template};
use crate::sale::Buyer;

/// What the pages of the list are sorted by, where they are.
const SORTS: [&str; 3] = ["price,asc", "name,desc", "created_at,desc"];

/// The requests of one stream.
#[derive(Debug)]
pub(super) enum Requests {
    /// Every one there is.
    Prebuilt(Vec<Request>),
    /// A buy; only the token differs.
    Buy { template: Template, tokens: Vec<String> },
    /// An order: a template a product, and a key that no other order has.
    Order { templates: Vec<Template>, tokens: Vec<String>, key_start: String },
}

/// What a connection fills in anew for each request.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    request: Request,
    key: String,
}

impl Requests {
    /// The requests of `scenario`. `run` sets the keys of this run apart from those of any other.
    pub(super) fn new(scenario: &Scenario, host: &str, run: &str) -> Self {
        let get = |path: String| Request::new("GET", &path, host, &[], None);
        match scenario {
            Scenario::Login { accounts } => Self::Prebuilt(
                accounts.iter().map(|(email, password)| login(host, email, password)).collect(),
            ),
            Scenario::ProductList { pages, page_size, searches } => {
                Self::Prebuilt(list_paths(*pages, *page_size, searches).into_iter().map(get).collect())
            }
            Scenario::Browse { events, products } => {
                let events = events.iter().map(|event| format!("/api/v1/spike/events/{event}"));
                let products = products.iter().map(|product| format!("/api/v1/products/{product}"));
                Self::Prebuilt(events.chain(products).map(get).collect())
            }
            Scenario::Order { buyers, products } => Self::Order {
                templates: products.iter().map(|product| order(host, product)).collect(),
                tokens: tokens(buyers),
                key_start: format!("open-{run}"),
            },
            Scenario::Spike { event, buyers, quantity } => {
                Self::Buy { template: buy(host, *event, *quantity), tokens: tokens(buyers) }
            }
            Scenario::Bots { event, buyers } => {
                Self::Buy { template: buy(host, *event, 1), tokens: tokens(buyers) }
            }
        }
    }

    /// The request of `arrival`.
    pub(super) fn get<'a>(&'a self, arrival: &Arrival, buffers: &'a mut Buffers) -> &'a Request {
        let item = arrival.item as usize;
        match self {
            Self::Prebuilt(requests) => &requests[item],
            Self::Buy { template, tokens } => {
                template.fill(&mut buffers.request, &tokens[item], None);
                &buffers.request
            }
            Self::Order { templates, tokens, key_start } => {
                buffers.key.clear();
                let _ = write!(buffers.key, "{key_start}-{}-{}", arrival.stream, arrival.number);
                let template = &templates[arrival.product as usize];
                template.fill(&mut buffers.request, &tokens[item], Some(&buffers.key));
                &buffers.request
            }
        }
    }
}

/// Plain pages, then every sort of every page, then the searches, with the weight of each part.
pub(super) fn plan_list(pages: u32, searches: u32) -> Vec<(f64, Range<u32>)> {
    let sorted = pages + pages * u32::try_from(SORTS.len()).expect("a few");
    let mut parts = vec![(0.7, 0..pages), (0.15, pages..sorted)];
    if searches > 0 {
        parts.push((0.15, sorted..sorted + searches));
    }
    parts
}

/// Events, then products: half and half.
pub(super) fn plan_browse(events: u32, products: u32) -> Vec<(f64, Range<u32>)> {
    [0..events, events..events + products]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| (0.5, part))
        .collect()
}

fn list_paths(pages: u32, page_size: u32, searches: &[String]) -> Vec<String> {
    let page = |page: u32| format!("/api/v1/products?page={page}&page_size={page_size}");
    let plain = (1..=pages).map(page);
    let sorted = SORTS.iter().flat_map(|sort| (1..=pages).map(move |at| format!("{}&sort={sort}", page(at))));
    let searched = searches.iter().map(|text| format!("{}&q={}", page(1), query_value(text)));
    plain.chain(sorted).chain(searched).collect()
}

/// Percent-encoded but for the unreserved characters of RFC 3986.
fn query_value(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn login(host: &str, email: &str, password: &str) -> Request {
    let body = json!({ "email": email, "password": password }).to_string();
    Request::new("POST", "/api/v1/auth/login", host, &[], Some(body.as_bytes()))
}

fn order(host: &str, product: &ProductToOrder) -> Template {
    let body = json!({
        "items": [{ "product_id": product.id.0, "quantity": 1 }],
        "amount": product.price,
    });
    Template::post("/api/v1/orders", host, body.to_string().as_bytes())
}

fn buy(host: &str, event: EventId, quantity: u32) -> Template {
    let path = format!("/api/v1/spike/events/{event}/orders");
    Template::post(&path, host, format!(r#"{{"quantity":{quantity}}}"#).as_bytes())
}

fn tokens(buyers: &[Buyer]) -> Vec<String> {
    buyers.iter().map(|buyer| buyer.token.clone()).collect()
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
