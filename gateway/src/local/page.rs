//! The prebuilt answers of one event: what every visitor polls, and every refusal that depends on the event.

use bytes::Bytes;
use serde_json::json;
use spike_domain::clock::rfc3339;
use spike_domain::{EventDef, EventId, EventState, Reason};

use crate::envelope;

/// `GET /spike/events/{id}` as bytes, with its entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The whole body.
    pub body: Bytes,
    /// Strong entity tag, quoted.
    pub etag: String,
    /// What it was built from, beside the definition.
    pub shown: Shown,
}

/// What a page shows beside the definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// What the operator wants.
    pub state: EventState,
    /// Units left, as last seen; `None` before warm-up.
    pub stock: Option<u64>,
}

/// Builds the page.
pub fn event_page(def: &EventDef, shown: Shown) -> Page {
    let body = envelope::ok(
        json!({
            "id": def.id,
            "product_id": def.product_id,
            "name": def.name,
            "price": def.price,
            "total": def.total,
            "stock": shown.stock.unwrap_or(u64::from(def.total)),
            "per_user_limit": def.per_user_limit,
            "pay_timeout_s": def.pay_timeout_s,
            "starts_at": rfc3339(def.window.starts_at_ms),
            "ends_at": rfc3339(def.window.ends_at_ms),
            "state": shown.state,
        }),
        None,
    );
    let mut hash = 0xcbf2_9ce4_8422_2325u64; // FNV-1a: the tag only has to change when the body does
    for &byte in &body {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    Page { body: body.into(), etag: format!("\"{hash:016x}\""), shown }
}

/// The refusals of one event.
#[derive(Debug, Clone)]
pub struct Refusals {
    /// 409, names where a winner finds its order.
    pub sold_out: Bytes,
    /// 403, with the start.
    pub not_started: Bytes,
    /// 410, with the end.
    pub ended: Bytes,
}

/// Builds the refusals.
pub fn refusals(def: &EventDef) -> Refusals {
    let body = |reason, data| envelope::error(reason, None, &[], Some(data), None).into();
    Refusals {
        sold_out: sold_out_body(def.id).into(),
        not_started: body(Reason::NotStarted, json!({ "starts_at": rfc3339(def.window.starts_at_ms) })),
        ended: body(Reason::Ended, json!({ "ended_at": rfc3339(def.window.ends_at_ms) })),
    }
}

/// The body of the sold-out refusal of `event`.
pub fn sold_out_body(event: EventId) -> Vec<u8> {
    let mine = format!("/api/v1/spike/events/{event}/orders/mine");
    envelope::error(Reason::SoldOut, None, &[], Some(json!({ "your_order": mine })), None)
}
