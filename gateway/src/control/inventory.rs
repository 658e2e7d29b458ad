//! `/products/{product}/inventory`: where a product's units are, and an administrator's corrections; and the ledger of
//! both. Figures are cached as the catalogue is, and briefly: workers move units too. Nobody sells by them, since a sale takes
//! its units by a condition, and a correction from figures that are no more is told so by their version.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_domain::{ProductId, Reason};
use spike_store::{AdjustTo, Adjustment, Expected, Inventory, MovementRow, Store};

use super::cache::{Key, Loaded, Topic};
use super::preconditions::{Known, MayMatch, tag_of};
use super::products::{STOCK_MAX, changed};
use super::query::LineQuery;
use super::{Admin, Answer, Control, Fields, Named, Refusal, Result};

/// Characters of a correction's reason.
pub(super) const REASON_CHARS_MAX: usize = 200;

/// Where a product's units are, with their version as ETag.
pub(super) async fn one(
    State(control): State<Arc<Control>>,
    Named(product): Named<ProductId>,
    known: Known,
) -> Result<Answer> {
    let store = control.store.clone();
    let load = move || async move {
        let units = store.inventory(product).await?;
        let tag = units.map(|units| tag_of(units.version));
        Ok(Loaded { data: units.map(|units| inventory_view(product, units)), tag })
    };
    let cached = control.cache.read(Key::inventory(product), load).await?;
    if !cached.there() {
        return Err(Refusal::new(Reason::NotFound));
    }
    Ok(Answer::cached(&known, cached, None))
}

/// Body: `reason`, and either `delta` (how many more, or fewer) or `available` (how many there are). The second writes
/// over what others did in between, so it needs `If-Match`. Answers the figures after it.
pub(super) async fn adjust(
    Admin(admin): Admin,
    State(control): State<Arc<Control>>,
    Named(product): Named<ProductId>,
    MayMatch(expected): MayMatch,
    mut body: Fields,
) -> Result<Answer> {
    let most = i64::from(STOCK_MAX);
    let delta = body.optional_integer("delta", -most..=most);
    let available = body.optional_count("available", 0..=STOCK_MAX);
    let reason = body.text("reason", 1..=REASON_CHARS_MAX);
    let to = match (delta, available) {
        (Some(0), None) => body.wrong("delta", "must not be 0"),
        (Some(delta), None) => Some(AdjustTo::Delta(delta)),
        (None, Some(available)) => Some(AdjustTo::Available(available)),
        (Some(_), Some(_)) => body.wrong("available", "must not be given together with delta"),
        (None, None) => body.wrong_unless_named("delta", "is required, or available is"),
    };
    body.finish()?;
    let to = to.ok_or_else(|| Refusal::internal("a body without a correction was let through"))?;
    let expected = match (to, expected) {
        (AdjustTo::Available(_), None) => return Err(Refusal::new(Reason::PreconditionRequired)),
        (_, expected) => expected.unwrap_or(Expected::Any),
    };
    let change = Adjustment { to, expected, actor: admin.user, reason };
    let units = control.store.adjust_inventory(product, change).await?;
    // Lists may be filtered by what is in stock.
    changed(&control, product).await;
    Ok(Answer::ok(inventory_view(product, units)).with_tag(&tag_of(units.version)))
}

/// Tells every cache that units of these products have moved.
pub(super) async fn moved(control: &Control, products: impl IntoIterator<Item = ProductId>) {
    let topics: Vec<Topic> = products.into_iter().map(Topic::Inventory).collect();
    control.cache.changed(&topics).await;
}

/// The ledger of a product, newest first; `next_cursor` is null on the last page. A deleted product keeps its ledger.
pub(super) async fn movements(
    _: Admin,
    State(control): State<Arc<Control>>,
    Named(product): Named<ProductId>,
    query: LineQuery,
) -> Result<Answer> {
    // One more than asked for tells whether there is a next page.
    let mut lines = control.store.movements(product, query.cursor, query.page_size + 1).await?;
    if lines.is_empty() && query.cursor.is_none() {
        // Every product has the line of its first stock.
        return Err(Refusal::new(Reason::NotFound));
    }
    let shown = usize::try_from(query.page_size).unwrap_or(usize::MAX);
    let more = lines.len() > shown;
    lines.truncate(shown);
    let next_cursor = lines.last().filter(|_| more).map(|line| line.id);
    let items: Vec<Value> = lines.iter().map(movement_view).collect();
    Ok(Answer::ok(json!({ "items": items, "page_size": query.page_size, "next_cursor": next_cursor })))
}

fn inventory_view(product: ProductId, units: Inventory) -> Value {
    json!({
        "product_id": product,
        "available": units.available,
        "reserved": units.reserved,
        "sold": units.sold,
        "version": units.version,
    })
}

fn movement_view(line: &MovementRow) -> Value {
    json!({
        "id": line.id,
        "product_id": line.product,
        "kind": line.kind.as_str(),
        "delta": { "available": line.delta.available, "reserved": line.delta.reserved, "sold": line.delta.sold },
        "actor_id": line.actor,
        "order_id": line.order,
        "event_id": line.event,
        "reason": line.reason,
        "at": rfc3339(line.at_ms),
    })
}

const _: () = assert!(STOCK_MAX <= Store::UNITS_MAX, "a column holds what a request may say");
