//! `GET /orders`: a person's orders of both kinds, with what was paid for them.
//!
//! Ids of both kinds are UUIDv7, so one cursor pages through both. A spike order is here once it has its row; while it
//! is queued, its event's own routes show it.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_domain::{OrderId, Reason, UserId};
use spike_store::{PaymentAttempt, ShopOrderRow};

use super::orders::order_view;
use super::{Answer, Control, CursorQuery, Identity, Named, Refusal, Result};

/// Most attempts to pay that are shown of an order: as many as a setting may allow, so that only orders from before there
/// was one can have more.
pub(super) const PAYMENTS_SHOWN_MAX: usize = 100;

/// Newest first; `next_cursor` is null on the last page.
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    identity: Identity,
    query: CursorQuery,
) -> Result<Answer> {
    // One more than asked for tells whether there is a next page.
    let (user, before, limit) = (identity.user, query.cursor, query.page_size + 1);
    let shop = control.store.shop_orders_of_user(user, before, limit).await?;
    let spike = control.store.orders_of_user(user, before, limit).await?;
    let shown = usize::try_from(query.page_size).unwrap_or(usize::MAX);
    let mut ids: Vec<OrderId> =
        shop.iter().map(|row| row.order).chain(spike.iter().map(|row| row.order)).collect();
    ids.sort_unstable_by(|one, two| two.cmp(one));
    let more = ids.len() > shown;
    ids.truncate(shown);
    let payments = control.store.payments_of(&ids).await?;
    let view = |order: &OrderId| {
        let paid: Vec<_> = payments.iter().filter(|payment| payment.order == *order).copied().collect();
        match (shop.iter().find(|row| row.order == *order), spike.iter().find(|row| row.order == *order)) {
            (Some(row), _) => shop_order_view(row, &paid),
            (None, Some(row)) => spike_order_view(order_view(row), &paid),
            (None, None) => Value::Null, // every id is of one of the two
        }
    };
    let items: Vec<Value> = ids.iter().map(view).collect();
    let next_cursor = ids.last().filter(|_| more).copied();
    Ok(Answer::ok(json!({ "items": items, "page_size": query.page_size, "next_cursor": next_cursor })))
}

/// One order. Another user's and an unknown one are the same 404.
pub(super) async fn one(
    State(control): State<Arc<Control>>,
    identity: Identity,
    Named(order): Named<OrderId>,
) -> Result<Answer> {
    Ok(Answer::ok(order_of(&control, order, identity.user).await?))
}

/// An order of either kind as its buyer sees it. Errors: 404.
pub(super) async fn order_of(control: &Control, order: OrderId, user: UserId) -> Result<Value> {
    let payments = async || control.store.payments_of(&[order]).await;
    if let Some(row) = control.store.shop_order(order, user).await? {
        return Ok(shop_order_view(&row, &payments().await?));
    }
    let row = control.store.order_for_user(order, user).await?.ok_or(Refusal::new(Reason::NotFound))?;
    Ok(spike_order_view(order_view(&row), &payments().await?))
}

/// An ordinary order as its buyer sees it.
pub(super) fn shop_order_view(row: &ShopOrderRow, payments: &[PaymentAttempt]) -> Value {
    let item = |item: &spike_store::ShopItem| json!({ "product_id": item.product, "quantity": item.quantity, "price": item.price });
    json!({
        "kind": "ordinary",
        "order_id": row.order,
        "status": row.status,
        "amount": row.amount,
        "items": row.items.iter().map(item).collect::<Vec<_>>(),
        "created_at": rfc3339(row.created_at_ms),
        "expires_at": rfc3339(row.expires_at_ms),
        "updated_at": rfc3339(row.updated_at_ms),
        "payments": payments_view(payments),
    })
}

/// What the event's routes show, and what these do besides.
fn spike_order_view(mut view: Value, payments: &[PaymentAttempt]) -> Value {
    view["kind"] = "spike".into();
    view["payments"] = payments_view(payments);
    view
}

/// Oldest first, the newest [`PAYMENTS_SHOWN_MAX`]; one whose status is `refund-due` took money that is owed to the buyer.
fn payments_view(payments: &[PaymentAttempt]) -> Value {
    let older = payments.len().saturating_sub(PAYMENTS_SHOWN_MAX);
    payments[older..].iter().map(payment_view).collect()
}

/// An attempt to pay as its buyer sees it.
pub(super) fn payment_view(payment: &PaymentAttempt) -> Value {
    json!({
        "attempt_id": payment.attempt,
        "status": payment.status,
        "amount": payment.amount,
        "created_at": rfc3339(payment.created_at_ms),
        "updated_at": rfc3339(payment.updated_at_ms),
    })
}
