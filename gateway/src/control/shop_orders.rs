//! `/orders`: ordinary orders are placed here; orders of both kinds are cancelled.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use spike_domain::{OrderId, OrderStatus, ProductId, Reason, UserId};
use spike_store::{Change, NewShopOrder, Placement, ShopChange, StoreError};
use uuid::Uuid;

use super::idempotency::{Done, Keyed, Turn};
use super::order_history::{order_of, shop_order_view};
use super::{Control, Fields, Identity, Named, Refusal, Result, inventory};

/// Most products of one order.
pub(super) const ITEMS_MAX: usize = 50;
/// Most units of one product in one order.
pub(super) const QUANTITY_MAX: u32 = 10_000;
/// Largest total a client may expect, in minor units: beyond any that the limits above allow.
pub(super) const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000_000;

/// Body: `items` (1 to 50 of `product_id` and `quantity`, each product once), `amount` (optional: the total the client
/// has shown; another one is 409 `amount-mismatch` with the true one). 201, pending until it is paid.
pub(super) async fn create(
    State(control): State<Arc<Control>>,
    identity: Identity,
    mut request: Keyed,
) -> Result<Response> {
    let items = items(&mut request.fields);
    let expected = request.fields.optional_money("amount", AMOUNT_MINOR_MAX);
    let claim = match request.claim(&control, identity.user, "POST /orders").await? {
        Turn::Run(claim) => claim,
        Turn::Replay(response) => return Ok(response),
    };
    let new = NewShopOrder {
        order: OrderId(Uuid::from_bytes(claim.effect())),
        user: identity.user,
        items,
        expected,
        pay_timeout_s: control.config.orders.pay_timeout_s,
    };
    let placed = place(&control, &new).await;
    Ok(claim.finish(placed).await)
}

/// Cancels a pending order of either kind. One that is cancelled already is shown as it is; a paid one is 409
/// `order-paid`.
pub(super) async fn cancel(
    State(control): State<Arc<Control>>,
    identity: Identity,
    Named(order): Named<OrderId>,
    request: Keyed,
) -> Result<Response> {
    found(&control, order, identity.user).await?;
    let claim = match request.claim(&control, identity.user, "POST /orders/{order}/cancel").await? {
        Turn::Run(claim) => claim,
        Turn::Replay(response) => return Ok(response),
    };
    let cancelled = cancelled(&control, order, identity.user).await;
    Ok(claim.finish(cancelled).await)
}

/// An order whose units have just moved, as its buyer sees it, after the caches have been told.
pub(super) async fn moved_units(control: &Control, order: OrderId, user: UserId) -> Result<Value> {
    let seen = order_of(control, order, user).await?;
    let items = seen["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let products = items.iter().filter_map(|item| item["product_id"].as_i64()).map(ProductId);
    inventory::moved(control, products).await;
    Ok(seen)
}

/// Refuses before a key is touched what is nobody's or another's: 404, whatever the key was used for.
pub(super) async fn found(control: &Control, order: OrderId, user: UserId) -> Result<()> {
    control.store.order_status(order, user).await?.map(drop).ok_or(Refusal::new(Reason::NotFound))
}

/// Reads `items`; a product that comes twice is named.
fn items(fields: &mut Fields) -> BTreeMap<ProductId, u32> {
    let mut items = BTreeMap::new();
    fields.objects("items", 1..=ITEMS_MAX, |item| {
        let product = ProductId(item.integer("product_id", 1..=i64::MAX));
        let quantity = item.count("quantity", 1..=QUANTITY_MAX);
        // 0 stands for one that is wrong and has been told.
        if items.insert(product, quantity).is_some() && product.0 > 0 {
            item.wrong::<()>("product_id", "is in the order already");
        }
    });
    items
}

async fn place(control: &Control, new: &NewShopOrder) -> Result<Done> {
    let about = |reason, data| Refusal { data: Some(data), ..Refusal::new(reason) };
    match control.store.place_shop_order(new).await? {
        Placement::Placed(row) => {
            inventory::moved(control, new.items.keys().copied()).await;
            Ok(Done::created(format!("/api/v1/orders/{}", row.order), shop_order_view(&row, &[])))
        }
        Placement::NoSuchProduct(product) => {
            Err(Refusal::field("items", format!("product {product} does not exist")))
        }
        Placement::MixedCurrencies => Err(Refusal::field("items", "must have prices in one currency")),
        Placement::AmountIs(amount) => Err(about(Reason::AmountMismatch, json!({ "amount": amount }))),
        Placement::Short(product) => {
            Err(about(Reason::InsufficientInventory, json!({ "product_id": product })))
        }
    }
}

async fn cancelled(control: &Control, order: OrderId, user: UserId) -> Result<Done> {
    let refused = match control.store.cancel_shop_order(order, user).await {
        Ok(ShopChange::Done) => None,
        Ok(ShopChange::Refused(status)) => Some(status),
        Err(StoreError::NotFound) => match control.store.cancel_order(order, user).await? {
            // Its restock marker is with it; the worker gives the units back to the ledger.
            Change::Done(_) => None,
            Change::Refused(status) => Some(status),
        },
        Err(error) => return Err(error.into()),
    };
    match refused {
        None | Some(OrderStatus::Cancelled) => Ok(Done::ok(moved_units(control, order, user).await?)),
        Some(OrderStatus::Paid) => Err(Refusal::new(Reason::OrderPaid)),
        Some(_) => Err(Refusal::new(Reason::OrderNotPending)),
    }
}
