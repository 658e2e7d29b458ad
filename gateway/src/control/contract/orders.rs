//! Orders of both kinds and their payment, described.

use serde_json::{Value, json};
use spike_domain::{AttemptStatus, Reason};
use spike_payments::Simulate;

use super::events::cursor_page_of;
use super::operation::Operation;
use super::schema::{
    count, id, list, moment, money, named, nullable, object, optional, request, required, units, uuid, word,
};
use crate::control::order_history::PAYMENTS_SHOWN_MAX;
use crate::control::shop_orders::{AMOUNT_MINOR_MAX, ITEMS_MAX, QUANTITY_MAX};

pub(super) fn describe(method: &str, path: &str) -> Option<Operation> {
    let operation = |id, summary| Operation::new("orders", id, summary);
    Some(match (method, path) {
        ("POST", "/api/v1/orders") => keyed(place()),
        ("GET", "/api/v1/orders") => operation("listOrders", "The caller's orders of both kinds, newest first")
            .by_cursor()
            .answers(200, "A page of orders", cursor_page_of("AnyOrder"), &[]),
        ("GET", "/api/v1/orders/{order}") => operation("getOrder", "One order of the caller's, of either kind")
            .notes("A spike order is here once it is written; while it is queued its event's routes show it.")
            .answers(200, "The order", named("AnyOrder"), &[]),
        ("POST", "/api/v1/orders/{order}/pay") => keyed(pay()),
        ("POST", "/api/v1/orders/{order}/cancel") => {
            keyed(operation("cancelOrder", "Cancel an order that is not paid"))
                .notes("One that is cancelled already is shown as it is. Its units can be bought again at once, those of a sale within seconds.")
                .optional_body(request([]))
                .answers(200, "The order, cancelled", named("AnyOrder"), &[])
                .refuses(&[Reason::OrderPaid, Reason::OrderNotPending])
        }
        ("POST", "/api/v1/payments/callback") => callback(),
        ("GET", "/api/v1/admin/payments") => {
            operation("listPayments", "Attempts to pay of everybody, newest first")
                .notes("`refund-due` is money that the worker is giving back; `refund-failed` is what the provider will not give back, so that somebody has to see to it.")
                .by_cursor()
                .query("status", "Only those that stand so.", attempt_status())
                .answers(200, "A page of attempts", cursor_page_of("AnyPayment"), &[])
        }
        _ => return None,
    })
}

/// What every request with a key can be told.
fn keyed(operation: Operation) -> Operation {
    operation.takes("RequiredIdempotencyKey").refuses(&[
        Reason::IdempotencyKeyMissing,
        Reason::IdempotencyMismatch,
        Reason::InFlight,
    ])
}

fn place() -> Operation {
    let item = request([required("product_id", id()), required("quantity", count(1..=QUANTITY_MAX))]);
    let mut items = list(item);
    items["minItems"] = 1.into();
    items["maxItems"] = ITEMS_MAX.into();
    Operation::new("orders", "placeOrder", "Order products at today's prices")
        .notes("Each product once, all in one currency. `amount` is the total the client has shown, if it wants it held against the true one. The order is cancelled if it is not paid by `expires_at`.")
        .body(request([required("items", items), optional("amount", money(AMOUNT_MINOR_MAX))]))
        .answers(201, "The order, to be paid", named("ShopOrder"), &["Location"])
        .refuses(&[Reason::InsufficientInventory, Reason::AmountMismatch])
}

fn pay() -> Operation {
    let words = Simulate::WORDS.map(|(word, _)| word);
    Operation::new("orders", "payOrder", "Pay an order of either kind")
        .notes("`simulate` chooses what the simulated provider does; profile prod refuses it. After `outcome-unknown` the same key asks again about the same attempt.")
        .optional_body(request([optional("simulate", word(words))]))
        .answers(200, "The order, paid", named("AnyOrder"), &[])
        .refuses(&[
            Reason::PaymentDeclined,
            Reason::PaymentInProgress,
            Reason::PaymentAttemptsExhausted,
            Reason::OrderPaid,
            Reason::OrderExpired,
            Reason::OrderNotPending,
            Reason::RefundDue,
            Reason::OutcomeUnknown,
        ])
}

fn callback() -> Operation {
    let settled = object([required("attempt_id", uuid()), required("status", attempt_status())]);
    Operation::new("orders", "receivePaymentCallback", "The payment provider's word on an attempt")
        .notes("Signed by header `Spike-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of \"<t>.<body>\">`; the time must be near ours. Sent again, it has no second effect.")
        .takes("Signature")
        .body(request([
            required("attempt_id", uuid()),
            required("outcome", word(["captured", "declined"])),
        ]))
        .answers(200, "The attempt as it is now", settled, &[])
        .refuses(&[Reason::BadSignature, Reason::NotFound])
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let seen = || {
        [
            required("attempt_id", uuid()),
            required("status", attempt_status()),
            required("amount", named("Money")),
            required("created_at", moment()),
            required("updated_at", moment()),
        ]
    };
    let payment = object(seen());
    let [attempt, status, amount, created, updated] = seen();
    let any_payment = object([
        attempt,
        status,
        amount,
        created,
        updated,
        required("order_id", uuid()),
        required("event_id", nullable(id())),
        required("user_id", id()),
    ]);
    let item = object([
        required("product_id", id()),
        required("quantity", units()),
        required("price", named("Money")),
    ]);
    let shop_order = object([
        required("kind", json!({ "const": "ordinary" })),
        required("order_id", uuid()),
        required("status", word(["pending", "paid", "cancelled"])),
        required("amount", named("Money")),
        required("items", list(item)),
        required("created_at", moment()),
        required("expires_at", moment()),
        required("updated_at", moment()),
        required("payments", payments()),
    ]);
    let mut spike_order = super::events::spike_order();
    spike_order["properties"]["kind"] = json!({ "const": "spike" });
    spike_order["properties"]["payments"] = payments();
    if let Some(names) = spike_order["required"].as_array_mut() {
        names.extend(["kind".into(), "payments".into()]);
    }
    vec![
        ("Payment", payment),
        ("AnyPayment", any_payment),
        ("ShopOrder", shop_order),
        ("AnyOrder", json!({ "oneOf": [named("ShopOrder"), spike_order] })),
    ]
}

fn payments() -> Value {
    let mut payments = list(named("Payment"));
    payments["maxItems"] = PAYMENTS_SHOWN_MAX.into();
    payments
}

fn attempt_status() -> Value {
    word(AttemptStatus::ALL.map(AttemptStatus::as_str))
}
