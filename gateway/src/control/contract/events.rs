//! Flash sales, described: events, the buy, and what became of it.

use serde_json::{Value, json};
use spike_domain::{EventDef, Reason};
use spike_store::EventSort;

use super::catalogue::page_of;
use super::operation::Operation;
use super::schema::{
    absent_or, count, flag, id, list, moment, money, named, nullable, object, optional, request, required,
    text, units, uuid, word, words,
};
use crate::control::products::PRICE_MINOR_MAX;

pub(super) fn describe(method: &str, path: &str) -> Option<Operation> {
    let operation = |id, summary| Operation::new("spike", id, summary);
    Some(match (method, path) {
        ("GET", "/api/v1/spike/events") => operation("listEvents", "Sales, newest first unless sorted otherwise")
            .paged()
            .query("state", "Only those in this state.", event_state())
            .query("sort", "A field, then `,asc` (also when left out) or `,desc`.", word(event_sorts()))
            .takes("IfNoneMatch")
            .answers(200, "A page of events", page_of("Event"), &["ETag", "Cache-Control"])
            .answers_with(304, "The client has it", json!({}), &["ETag", "Cache-Control"]),
        ("GET", "/api/v1/spike/events/{event}") => operation("getEvent", "One sale")
            .notes("Answered from memory, with the stock as last seen; an event closed long ago comes without it.")
            .takes("IfNoneMatch")
            .answers(200, "The event", named("EventPage"), &["ETag?", "Cache-Control"])
            .answers_with(304, "Unchanged", json!({}), &["ETag"]),
        ("GET", "/api/v1/spike/events/{event}/stats") => {
            operation("getEventStats", "The sale at this moment, from the ledger")
                .takes("IfNoneMatch")
                .answers(200, "The figures", named("EventStats"), &["ETag", "Cache-Control"])
                .answers_with(304, "The client has them", json!({}), &["ETag", "Cache-Control"])
        }
        ("POST", "/api/v1/spike/events/{event}/orders") => buy(),
        ("GET", "/api/v1/spike/events/{event}/orders/mine") => {
            status("getMyOrder", "The caller's order in this sale")
        }
        ("GET", "/api/v1/spike/events/{event}/orders/{order}") => {
            status("getSpikeOrder", "One order of the caller's, by its id")
        }
        ("GET", "/api/v1/spike/events/{event}/orders/{order}/events") => {
            operation("streamSpikeOrder", "An order's states as they come, as server-sent events")
                .notes("Each event is `status`, its id the state. A client that comes back with a final `Last-Event-ID` gets 204.")
                .header("Last-Event-ID", "The last state seen.", words())
                .answers_with(
                    200,
                    "A stream",
                    json!({ "text/event-stream": { "schema": state_event() } }),
                    &["Cache-Control"],
                )
                .answers_with(204, "Nothing follows what was seen", json!({}), &[])
        }
        ("GET", "/api/v1/spike/orders") => operation("listSpikeOrders", "The caller's orders, newest first")
            .by_cursor()
            .answers(200, "A page of orders", cursor_page_of("SpikeOrder"), &[]),
        _ => return administration(method, path),
    })
}

fn status(id: &'static str, summary: &'static str) -> Operation {
    let seconds = json!({ "type": "string", "pattern": "^0*([1-9]|[12][0-9]|30)s$" });
    Operation::new("spike", id, summary)
        .notes("Short while it is young and answered from the ledger; whole when it comes from the database.")
        .query(
            "wait",
            "Hold the answer back until the state is news, at most so long: `1s` to `30s`.",
            seconds,
        )
        .takes("IfNoneMatch")
        .answers(200, "The order", json!({ "anyOf": [named("SpikeOrder"), named("ClaimView")] }), &["ETag?"])
        .answers_with(304, "Still in the state that `If-None-Match` names", json!({}), &["ETag"])
}

/// One event of the stream. `data` is the order as JSON.
fn state_event() -> Value {
    let data = json!({ "type": "string", "contentMediaType": "application/json" });
    object([
        required("id", word(CLAIM_STATES)),
        required("event", json!({ "const": "status" })),
        required("data", data),
        absent_or("retry", units()),
    ])
}

fn buy() -> Operation {
    Operation::new("spike", "buy", "Buy")
        .notes("With a key a lost answer can be asked for again: the same order answers, never a second one.")
        .takes("IdempotencyKey")
        .optional_body({
            let mut body = request([optional("quantity", count(1..=EventDef::PER_USER_LIMIT_MAX))]);
            // A null is no quantity here.
            body["properties"]["quantity"] = count(1..=EventDef::PER_USER_LIMIT_MAX);
            body
        })
        .answers(
            202,
            "Accepted: the order is being written",
            named("Queued"),
            &["Location", "Idempotent-Replayed?"],
        )
        .refuses(&[
            Reason::NotStarted,
            Reason::Ended,
            Reason::SoldOut,
            Reason::InsufficientStock,
            Reason::AlreadyBought,
            Reason::IdempotencyMismatch,
            Reason::Paused,
            Reason::Recovering,
            Reason::OutboxFull,
            Reason::OutcomeUnknown,
        ])
}

fn administration(method: &str, path: &str) -> Option<Operation> {
    let operation = |id, summary| Operation::new("spike", id, summary);
    let verb = |id, summary| {
        operation(id, summary)
            .notes("May be repeated. The answer waits until a worker has carried it out.")
            .answers(200, "The event and its figures", named("Operated"), &[])
            .refuses(&[Reason::Conflict, Reason::Recovering])
    };
    Some(match (method, path) {
        ("POST", "/api/v1/admin/spike/events") => operation("createEvent", "Announce a sale")
            .notes("Takes `total` units out of the product's inventory.")
            .body(request([
                required("product_id", id()),
                required("name", text(1..=200)),
                required("price", money(PRICE_MINOR_MAX)),
                required("total", count(1..=EventDef::TOTAL_MAX)),
                required("starts_at", moment()),
                required("ends_at", moment()),
                optional("per_user_limit", count(1..=EventDef::PER_USER_LIMIT_MAX)),
                optional("pay_timeout_s", count(1..=EventDef::PAY_TIMEOUT_S_MAX)),
            ]))
            .answers(201, "The event", named("Event"), &["Location"])
            .refuses(&[Reason::InsufficientInventory, Reason::Conflict]),
        ("PATCH", "/api/v1/admin/spike/events/{event}") => {
            operation("changeEvent", "Change a sale before it starts")
                .notes("A changed `total` moves units between the event and the product's inventory.")
                .takes("RequiredIfMatch")
                .body(request([
                    optional("name", text(1..=200)),
                    optional("price", money(PRICE_MINOR_MAX)),
                    optional("total", count(1..=EventDef::TOTAL_MAX)),
                    optional("starts_at", moment()),
                    optional("ends_at", moment()),
                    optional("per_user_limit", count(1..=EventDef::PER_USER_LIMIT_MAX)),
                    optional("pay_timeout_s", count(1..=EventDef::PAY_TIMEOUT_S_MAX)),
                ]))
                .answers(200, "The event", named("Event"), &["ETag"])
                .refuses(&[
                    Reason::InsufficientInventory,
                    Reason::Conflict,
                    Reason::PreconditionFailed,
                    Reason::PreconditionRequired,
                ])
        }
        ("DELETE", "/api/v1/admin/spike/events/{event}") => {
            operation("deleteEvent", "Delete a sale that was never warmed up")
                .takes("RequiredIfMatch")
                .answers_with(204, "It is gone; its units are back in the inventory", json!({}), &[])
                .refuses(&[Reason::Conflict, Reason::PreconditionFailed, Reason::PreconditionRequired])
        }
        ("POST", "/api/v1/admin/spike/events/{event}/reconcile") => {
            operation("reconcileEvent", "Compare the ledger with the database")
                .notes("A report: nothing is changed.")
                .answers(200, "The figures and every difference found", named("Reconciled"), &[])
                .refuses(&[Reason::Conflict, Reason::Recovering])
        }
        ("POST", "/api/v1/admin/spike/events/{event}/warmup") => {
            verb("warmUpEvent", "Bring the stock into the ledger")
        }
        ("POST", "/api/v1/admin/spike/events/{event}/pause") => verb("pauseEvent", "Refuse buys for now"),
        ("POST", "/api/v1/admin/spike/events/{event}/resume") => verb("resumeEvent", "Take buys again"),
        ("POST", "/api/v1/admin/spike/events/{event}/close") => verb("closeEvent", "End the sale for good"),
        _ => return super::limits::describe(method, path),
    })
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let mut shown = event();
    shown["properties"]["stock"] = units();
    let stats = object([
        required("event_id", id()),
        required("state", event_state()),
        required("ledger", nullable(word(["open", "paused", "recovering", "closed"]))),
        required("total", units()),
        required("stock", nullable(units())),
        required("in_flight", nullable(units())),
        required("reserved", units()),
        required("pending", units()),
        required("sold", units()),
        required("returned", units()),
        required("version", nullable(units())),
    ]);
    let queued = object([
        required("order_id", uuid()),
        required("event_id", id()),
        required("status", json!({ "const": "queued" })),
    ]);
    let claim = object([
        required("order_id", uuid()),
        required("event_id", id()),
        required("status", nullable(word(CLAIM_STATES))),
        required("quantity", nullable(units())),
        absent_or("queue_position", units()),
    ]);
    let figure = || json!({ "type": "integer" });
    let conservation = object(["S", "R", "L", "F", "K"].map(|name| required(name, figure())));
    let operated = object([
        required("event", named("Event")),
        required("conservation", named("Conservation")),
        required("exact", flag()),
    ]);
    let difference =
        object([required("kind", words()), required("count", figure()), required("examples", list(uuid()))]);
    let reconciled = object([
        required("event", named("Event")),
        required("conservation", named("Conservation")),
        required("exact", flag()),
        required("returned", units()),
        required("differences", list(difference)),
    ]);
    vec![
        ("Reconciled", reconciled),
        ("Event", event()),
        ("EventPage", shown),
        ("EventStats", stats),
        ("Queued", queued),
        ("ClaimView", claim),
        ("SpikeOrder", spike_order()),
        ("Conservation", conservation),
        ("Operated", operated),
    ]
}

const CLAIM_STATES: [&str; 6] = ["queued", "pending", "paid", "cancelled", "rejected", "lost"];

fn event_sorts() -> impl Iterator<Item = String> {
    let fields = EventSort::ALL.map(EventSort::as_str).into_iter();
    fields.flat_map(|field| ["", ",asc", ",desc"].map(|way| format!("{field}{way}")))
}

fn event_state() -> Value {
    word(["scheduled", "open", "paused", "closed"])
}

fn event() -> Value {
    object([
        required("id", id()),
        required("product_id", id()),
        required("name", words()),
        required("price", named("Money")),
        required("total", units()),
        required("per_user_limit", units()),
        required("pay_timeout_s", units()),
        required("starts_at", moment()),
        required("ends_at", moment()),
        required("state", event_state()),
        absent_or("version", units()),
    ])
}

pub(super) fn spike_order() -> Value {
    object([
        required("order_id", uuid()),
        required("event_id", id()),
        required("status", word(CLAIM_STATES[1..].iter().copied())),
        required("quantity", units()),
        required("price", named("Money")),
        required("amount", named("Money")),
        required("accepted_at", moment()),
        required("created_at", moment()),
        required("expires_at", moment()),
        required("updated_at", moment()),
    ])
}

/// The answer of a list that pages by cursor.
pub(super) fn cursor_page_of(schema: &str) -> Value {
    object([
        required("items", list(named(schema))),
        required("page_size", units()),
        required("next_cursor", nullable(uuid())),
    ])
}
