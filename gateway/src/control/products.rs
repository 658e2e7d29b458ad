//! `/products`: the catalogue and where its units are.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_domain::{ProductId, Reason};
use spike_store::{NewProduct, ProductRow};

use super::{Admin, Answer, Control, Fields, Named, PageQuery, Refusal, Result};

/// Largest price, in minor units: an order of the largest quantity still fits 64 bits by far.
pub(super) const PRICE_MINOR_MAX: i64 = 1_000_000_000_000;
/// Largest stock of a product, in units.
pub(super) const STOCK_MAX: u32 = 1_000_000_000;

/// Body: `sku`, `name`, `price`, `description` (optional), `stock` (optional, 0). 201.
pub(super) async fn create(
    Admin(admin): Admin,
    State(control): State<Arc<Control>>,
    mut body: Fields,
) -> Result<Answer> {
    let product = NewProduct {
        sku: body.text("sku", 1..=64),
        name: body.text("name", 1..=200),
        description: body.optional_text("description", 0..=10_000).unwrap_or_default(),
        price: body.money("price", PRICE_MINOR_MAX),
        stock: body.optional_count("stock", 0..=STOCK_MAX).unwrap_or_default(),
    };
    body.finish()?;
    let id = control.store.create_product(product, Some(admin.user)).await?;
    let row = control.store.product(id).await?;
    let row = row.ok_or_else(|| Refusal::internal("a product just created is not there"))?;
    Ok(Answer::created(&format!("/api/v1/products/{id}"), product_view(&row)))
}

/// Newest first.
pub(super) async fn list(State(control): State<Arc<Control>>, query: PageQuery) -> Result<Answer> {
    let page = control.store.list_products(query.page, query.page_size).await?;
    let items: Vec<Value> = page.items.iter().map(product_view).collect();
    Ok(Answer::ok(query.view(&items, page.total)))
}

/// One product.
pub(super) async fn one(
    State(control): State<Arc<Control>>,
    Named(product): Named<ProductId>,
) -> Result<Answer> {
    let row = control.store.product(product).await?.ok_or(Refusal::new(Reason::NotFound))?;
    Ok(Answer::ok(product_view(&row)))
}

/// Where a product's units are.
pub(super) async fn inventory(
    State(control): State<Arc<Control>>,
    Named(product): Named<ProductId>,
) -> Result<Answer> {
    let units = control.store.inventory(product).await?.ok_or(Refusal::new(Reason::NotFound))?;
    Ok(Answer::ok(json!({
        "product_id": product,
        "available": units.available,
        "reserved": units.reserved,
        "sold": units.sold,
    })))
}

fn product_view(row: &ProductRow) -> Value {
    json!({
        "id": row.id,
        "sku": row.sku,
        "name": row.name,
        "description": row.description,
        "price": row.price,
        "version": row.version,
        "created_at": rfc3339(row.created_at_ms),
        "updated_at": rfc3339(row.updated_at_ms),
    })
}
