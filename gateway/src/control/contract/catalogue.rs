//! Products and their inventory, described.

use serde_json::{Value, json};
use spike_domain::Reason;

use super::operation::Operation;
use super::schema::{
    count, id, integer, list, moment, money, named, object, optional, request, required, text, units, words,
};
use crate::control::products::{PRICE_MINOR_MAX, STOCK_MAX};

pub(super) fn describe(method: &str, path: &str) -> Option<Operation> {
    let operation = |id, summary| Operation::new("catalogue", id, summary);
    Some(match (method, path) {
        ("GET", "/api/v1/products") => operation("listProducts", "Products, newest first").paged().answers(
            200,
            "A page of products",
            page_of("Product"),
            &[],
        ),
        ("POST", "/api/v1/products") => operation("createProduct", "Add a product")
            .body(request([
                required("sku", text(1..=64)),
                required("name", text(1..=200)),
                required("price", money(PRICE_MINOR_MAX)),
                optional("description", text(0..=10_000)),
                optional("stock", count(0..=STOCK_MAX)),
            ]))
            .answers(201, "The product", named("Product"), &["Location"])
            .refuses(&[Reason::SkuTaken]),
        ("GET", "/api/v1/products/{product}") => {
            operation("getProduct", "One product").answers(200, "The product", named("Product"), &[])
        }
        ("GET", "/api/v1/products/{product}/inventory") => operation(
            "getInventory",
            "Where a product's units are",
        )
        .answers(200, "The units", named("Inventory"), &[]),
        _ => return None,
    })
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let product = object([
        required("id", id()),
        required("sku", words()),
        required("name", words()),
        required("description", words()),
        required("price", named("Money")),
        required("version", units()),
        required("created_at", moment()),
        required("updated_at", moment()),
    ]);
    let inventory = object([
        required("product_id", id()),
        required("available", units()),
        required("reserved", units()),
        required("sold", units()),
    ]);
    let currency = json!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217" });
    let money = object([required("minor", integer(0..=i64::MAX)), required("currency", currency)]);
    vec![("Money", money), ("Product", product), ("Inventory", inventory)]
}

/// The answer of a list that pages by number.
pub(super) fn page_of(schema: &str) -> Value {
    object([
        required("items", list(named(schema))),
        required("page", units()),
        required("page_size", units()),
        required("total", units()),
    ])
}
