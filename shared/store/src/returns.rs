//! Units of many orders go back to the inventory at once: a change a product, and still a line of the ledger an order.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use spike_domain::{OrderId, ProductId};

use crate::Result;
use crate::backend::Conn;
use crate::inventory::{fewer, shift};
use crate::movements::{Delta, MovementKind};
use crate::sql::{push_hex, run_text};

/// Units of one product that an order does not take after all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Returned {
    /// Whose they were.
    pub order: OrderId,
    /// How many.
    pub units: u32,
}

/// Moves units of orders that no person cancelled from reserved back to available, by rising product. Errors: `Corrupt`
/// where fewer units are reserved.
pub(crate) async fn give_back_many(
    tx: &mut Conn,
    products: &BTreeMap<ProductId, Vec<Returned>>,
) -> Result<()> {
    if products.is_empty() {
        return Ok(());
    }
    let now = tx.dialect().now_ms();
    let mut lines = String::new();
    for (product, returned) in products {
        let units: i64 = returned.iter().map(|returned| i64::from(returned.units)).sum();
        let delta = Delta { available: units, reserved: -units, sold: 0 };
        if !shift(tx, *product, delta).await? {
            return Err(fewer(*product, units.unsigned_abs()));
        }
        for Returned { order, units } in returned {
            let comma = if lines.is_empty() { "" } else { "," };
            let kind = MovementKind::Returned.code();
            write!(lines, "{comma}({product}, {kind}, {units}, -{units}, 0, ")
                .expect("writing to a String cannot fail");
            push_hex(&mut lines, order.bytes());
            write!(lines, ", '', {now})").expect("writing to a String cannot fail");
        }
    }
    let text = format!(
        "INSERT INTO inventory_movements (product_id, kind, delta_available, delta_reserved, delta_sold, order_id, \
         reason, at_ms) VALUES {lines}"
    );
    run_text(tx, text).await?;
    Ok(())
}
