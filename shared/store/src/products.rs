//! Tables `products` and `inventory`.

use spike_domain::{Money, ProductId};

use crate::{Page, Result, Store};

/// A product to create, with its first stock.
#[derive(Debug, Clone)]
pub struct NewProduct {
    /// Unique among all products.
    pub sku: String,
    /// Title.
    pub name: String,
    /// Longer text.
    pub description: String,
    /// Ordinary price of one unit.
    pub price: Money,
    /// Units available from the start.
    pub stock: u32,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductRow {
    /// The product.
    pub id: ProductId,
    /// Unique among all products.
    pub sku: String,
    /// Title.
    pub name: String,
    /// Longer text.
    pub description: String,
    /// Ordinary price of one unit.
    pub price: Money,
    /// Rises with every change.
    pub version: u32,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub updated_at_ms: u64,
}

/// Units of one product, wherever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inventory {
    /// Free to be ordered or given to an event.
    pub available: u32,
    /// Given to events or held by unpaid orders.
    pub reserved: u32,
    /// Gone.
    pub sold: u32,
}

impl Store {
    /// Creates product and inventory in one transaction. Errors: `Conflict(Sku)`.
    pub async fn create_product(&self, product: NewProduct) -> Result<ProductId> {
        let _ = product;
        Err(crate::unwritten())
    }

    /// A product that is not deleted.
    pub async fn product(&self, product: ProductId) -> Result<Option<ProductRow>> {
        let _ = product;
        Err(crate::unwritten())
    }

    /// Products that are not deleted, newest first; `page` counts from 1.
    pub async fn list_products(&self, page: u32, page_size: u32) -> Result<Page<ProductRow>> {
        let _ = (page, page_size);
        Err(crate::unwritten())
    }

    /// Where a product's units are.
    pub async fn inventory(&self, product: ProductId) -> Result<Option<Inventory>> {
        let _ = product;
        Err(crate::unwritten())
    }
}
