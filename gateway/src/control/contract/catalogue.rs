//! Products and their inventory, described.

use serde_json::{Value, json};
use spike_domain::Reason;
use spike_store::{MovementKind, ProductSort};

use super::operation::Operation;
use super::schema::{
    absent_or, count, flag, id, integer, list, moment, money, named, nullable, object, optional, request,
    required, text, units, uuid, word, words,
};
use crate::control::inventory::REASON_CHARS_MAX;
use crate::control::product_query::SEARCH_CHARS_MAX;
use crate::control::products::{PRICE_MINOR_MAX, STOCK_MAX};

pub(super) fn describe(method: &str, path: &str) -> Option<Operation> {
    let operation = |id, summary| Operation::new("catalogue", id, summary);
    Some(match (method, path) {
        ("GET", "/api/v1/products") => list_operation(operation("listProducts", "Products, newest first")),
        ("POST", "/api/v1/products") => operation("createProduct", "Add a product")
            .body(request([
                required("sku", text(1..=64)),
                required("name", text(1..=200)),
                required("price", money(PRICE_MINOR_MAX)),
                optional("description", text(0..=10_000)),
                optional("stock", count(0..=STOCK_MAX)),
            ]))
            .answers(201, "The product", named("Product"), &["Location", "ETag"])
            .refuses(&[Reason::SkuTaken]),
        ("GET", "/api/v1/products/{product}") => operation("getProduct", "One product")
            .takes("IfNoneMatch")
            .answers(200, "The product", named("Product"), &["ETag", "Cache-Control"])
            .answers_with(304, "The client has it", json!({}), &["ETag", "Cache-Control"]),
        ("PATCH", "/api/v1/products/{product}") => operation("changeProduct", "Change a product")
            .notes("What is absent or null stays as it is.")
            .takes("RequiredIfMatch")
            .body(request([
                optional("sku", text(1..=64)),
                optional("name", text(1..=200)),
                optional("description", text(0..=10_000)),
                optional("price", money(PRICE_MINOR_MAX)),
            ]))
            .answers(200, "The product after it", named("Product"), &["ETag"])
            .refuses(&[Reason::SkuTaken, Reason::PreconditionRequired, Reason::PreconditionFailed]),
        ("DELETE", "/api/v1/products/{product}") => operation("deleteProduct", "Delete a product")
            .notes("It is gone from the catalogue; its SKU stays taken, its ledger stays readable.")
            .takes("RequiredIfMatch")
            .answers_with(204, "It is gone", json!({}), &[])
            .refuses(&[Reason::ProductInUse, Reason::PreconditionRequired, Reason::PreconditionFailed]),
        ("GET", "/api/v1/products/{product}/inventory") => {
            operation("getInventory", "Where a product's units are")
                .takes("IfNoneMatch")
                .answers(200, "The units", named("Inventory"), &["ETag", "Cache-Control"])
                .answers_with(304, "The client has them", json!({}), &["ETag", "Cache-Control"])
        }
        ("PUT", "/api/v1/products/{product}/inventory") => {
            adjust_operation(operation("adjustInventory", "Correct what is available"))
        }
        ("GET", "/api/v1/admin/products/{product}/movements") => {
            operation("listMovements", "The ledger of a product's units, newest first")
                .query("cursor", "`next_cursor` of the page before.", id())
                .takes("PageSize")
                .answers(
                    200,
                    "A page of movements",
                    object([
                        required("items", list(named("Movement"))),
                        required("page_size", units()),
                        required("next_cursor", nullable(id())),
                    ]),
                    &[],
                )
        }
        _ => return None,
    })
}

fn list_operation(operation: Operation) -> Operation {
    let fields = ProductSort::ALL.map(ProductSort::as_str);
    let sorts = fields.iter().flat_map(|field| ["", ",asc", ",desc"].map(|way| format!("{field}{way}")));
    let price = || integer(0..=PRICE_MINOR_MAX);
    let currency = json!({ "type": "string", "pattern": "^[A-Z]{3}$" });
    operation
        .notes(
            "`q` finds what begins with it, in any case, among the first thousand by name and by SKU. Prices are \
             compared in minor units, of whatever currency unless `currency` is given.",
        )
        .paged()
        .query("sort", "A field, then `,asc` (also when left out) or `,desc`.", word(sorts))
        .query("price_min", "At least so many minor units.", price())
        .query("price_max", "At most so many minor units; not below `price_min`.", price())
        .query("currency", "Priced in this currency, ISO 4217.", currency)
        .query("in_stock", "With units available, or without.", flag())
        .query("q", "The beginning of a name or a SKU.", text(1..=SEARCH_CHARS_MAX))
        .takes("IfNoneMatch")
        .answers(200, "A page of products", page_of("Product"), &["ETag", "Cache-Control"])
        .answers_with(304, "The client has it", json!({}), &["ETag", "Cache-Control"])
}

fn adjust_operation(operation: Operation) -> Operation {
    operation
        .notes(
            "Either `delta`, how many more or fewer (not 0), or `available`, how many there are; the second needs \
             `If-Match`. Every correction is a line of the ledger.",
        )
        .takes("IfMatch")
        .body(adjustment())
        .answers(200, "The units after it", named("Inventory"), &["ETag"])
        .refuses(&[
            Reason::InsufficientInventory,
            Reason::PreconditionRequired,
            Reason::PreconditionFailed,
        ])
}

/// One of `delta` and `available`, and not both.
fn adjustment() -> Value {
    let most = i64::from(STOCK_MAX);
    let reason = || required("reason", text(1..=REASON_CHARS_MAX));
    let nothing = |name| absent_or(name, json!({ "type": "null" }));
    let mut delta = integer(-most..=most);
    delta["not"] = json!({ "const": 0 });
    json!({ "oneOf": [
        request([required("delta", delta), nothing("available"), reason()]),
        request([required("available", count(0..=STOCK_MAX)), nothing("delta"), reason()]),
    ] })
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
        required("version", units()),
    ]);
    let all = || integer(i64::from(i32::MIN)..=i64::from(i32::MAX));
    let movement = object([
        required("id", id()),
        required("product_id", id()),
        required("kind", word(MovementKind::ALL.map(MovementKind::as_str))),
        required(
            "delta",
            object([required("available", all()), required("reserved", all()), required("sold", all())]),
        ),
        required("actor_id", nullable(id())),
        required("order_id", nullable(uuid())),
        required("event_id", nullable(id())),
        required("reason", words()),
        required("at", moment()),
    ]);
    let currency = json!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217" });
    let money = object([required("minor", integer(0..=i64::MAX)), required("currency", currency)]);
    vec![("Money", money), ("Product", product), ("Inventory", inventory), ("Movement", movement)]
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
