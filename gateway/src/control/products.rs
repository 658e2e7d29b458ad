//! `/products`: the catalogue.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_domain::{ProductId, Reason};
use spike_store::{NewProduct, ProductChange, ProductRow};

use super::cache::{Key, Loaded, Topic};
use super::preconditions::{IfMatch, Known, tag_of};
use super::product_query::ProductQuery;
use super::{Admin, Answer, Control, Fields, Named, PageQuery, Refusal, Result};

/// Largest price, in minor units: an order of the largest quantity still fits 64 bits by far.
pub(super) const PRICE_MINOR_MAX: i64 = 1_000_000_000_000;
/// Largest stock of a product, in units.
pub(super) const STOCK_MAX: u32 = 1_000_000_000;

/// How long a client may keep a page of a list without asking, in seconds.
pub(super) const LIST_MAX_AGE_S: u32 = 1;

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
    changed(&control, id).await;
    let row = control.store.product(id).await?;
    let row = row.ok_or_else(|| Refusal::internal("a product just created is not there"))?;
    let created = Answer::created(&format!("/api/v1/products/{id}"), product_view(&row));
    Ok(created.with_tag(&tag_of(row.version)))
}

/// Newest first unless sorted otherwise.
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    ProductQuery(list): ProductQuery,
    known: Known,
) -> Result<Answer> {
    let (key, store) = (Key::products(&list), control.store.clone());
    let load = move || async move {
        let page = store.list_products(&list).await?;
        let items: Vec<Value> = page.items.iter().map(product_view).collect();
        let query = PageQuery { page: list.page, page_size: list.page_size };
        Ok(Loaded { data: Some(query.view(&items, page.total)), tag: None })
    };
    Ok(Answer::cached(&known, control.cache.read(key, load).await?, Some(LIST_MAX_AGE_S)))
}

/// One product, with its version as ETag.
pub(super) async fn one(
    State(control): State<Arc<Control>>,
    Named(product): Named<ProductId>,
    known: Known,
) -> Result<Answer> {
    let store = control.store.clone();
    let load = move || async move {
        let row = store.product(product).await?;
        let tag = row.as_ref().map(|row| tag_of(row.version));
        Ok(Loaded { data: row.as_ref().map(product_view), tag })
    };
    let cached = control.cache.read(Key::product(product), load).await?;
    if !cached.there() {
        return Err(Refusal::new(Reason::NotFound));
    }
    Ok(Answer::cached(&known, cached, None))
}

/// Body: any of `sku`, `name`, `description`, `price`; what is absent or null stays. Needs `If-Match`.
pub(super) async fn change(
    _: Admin,
    State(control): State<Arc<Control>>,
    Named(product): Named<ProductId>,
    IfMatch(expected): IfMatch,
    mut body: Fields,
) -> Result<Answer> {
    let change = ProductChange {
        sku: body.optional_text("sku", 1..=64),
        name: body.optional_text("name", 1..=200),
        description: body.optional_text("description", 0..=10_000),
        price: body.optional_money("price", PRICE_MINOR_MAX),
    };
    body.finish()?;
    let row = control.store.update_product(product, &expected, &change).await?;
    changed(&control, product).await;
    Ok(Answer::ok(product_view(&row)).with_tag(&tag_of(row.version)))
}

/// Takes a product out of the catalogue; its SKU stays taken. Needs `If-Match`. 204.
pub(super) async fn delete(
    _: Admin,
    State(control): State<Arc<Control>>,
    Named(product): Named<ProductId>,
    IfMatch(expected): IfMatch,
) -> Result<Answer> {
    control.store.delete_product(product, &expected).await?;
    changed(&control, product).await;
    Ok(Answer::no_content())
}

/// Tells every cache.
pub(super) async fn changed(control: &Control, product: ProductId) {
    control.cache.changed(&[Topic::Product(product), Topic::Inventory(product), Topic::Products]).await;
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
