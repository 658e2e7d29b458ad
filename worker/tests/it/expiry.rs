//! Ordinary orders that nobody pays are cancelled in time, however many there are and whatever is in their way.

use std::time::Duration;

use spike_domain::clock::now_ms;
use spike_domain::{Currency, Money, OrderId, ProductId};
use spike_store::{Inventory, NewProduct};

use crate::sale::{Sale, eventually};

/// An unpaid order's units are free this long after its deadline.
const IN_TIME: Duration = Duration::from_secs(10);

async fn product(sale: &Sale) -> ProductId {
    let price = Money { minor: 500, currency: Currency::parse("EUR").unwrap() };
    let sku = OrderId::new(now_ms()).to_string();
    let product = NewProduct { sku, name: "Lamp".into(), description: String::new(), price, stock: 10_000 };
    sale.store.create_product(product, None).await.unwrap()
}

/// Writes `count` pending orders of one unit each, with everything that belongs to them, as if each had been placed.
fn write_orders(sale: &Sale, product: ProductId, user: i64, first: u32, count: u32, expires_at_ms: u64) {
    let last = first + count - 1;
    let id = "UNHEX(LPAD(HEX(seq), 32, '0'))";
    sale.sql(&format!(
        "INSERT INTO orders (id, user_id, status, amount_minor, currency, created_at_ms, expires_at_ms, updated_at_ms) \
         SELECT {id}, {user}, 1, 500, 'EUR', 1, {expires_at_ms}, 1 FROM seq_{first}_to_{last}; \
         INSERT INTO order_items (order_id, product_id, quantity, price_minor) \
         SELECT {id}, {product}, 1, 500 FROM seq_{first}_to_{last}; \
         INSERT INTO inventory_movements (product_id, kind, delta_available, delta_reserved, delta_sold, order_id, reason, at_ms) \
         SELECT {product}, 3, -1, 1, 0, {id}, '', 1 FROM seq_{first}_to_{last}; \
         UPDATE inventory SET available = available - {count}, reserved = reserved + {count} WHERE product_id = {product}"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_unpaid_orders_is_cancelled_in_time_behind_orders_that_cannot_be() {
    let sale = Sale::of(1).await;
    let user = sale.store.bulk_insert_users("crowd", 1, "no hash").await.unwrap()[0];
    let (broken, sound) = (product(&sale).await, product(&sale).await);
    // More than one call takes, older than all others, and with books that do not let their units go.
    write_orders(&sale, broken, user.0, 1, 600, 1);
    sale.sql(&format!("UPDATE inventory SET reserved = 0 WHERE product_id = {broken}"));
    let deadline = sale.store.now_ms().await.unwrap() + 15_000;
    write_orders(&sale, sound, user.0, 1001, 2000, deadline);
    let workers = [sale.worker(), sale.worker()];
    eventually("all units are free", async || {
        let units = sale.store.inventory(sound).await.unwrap()?;
        (units.reserved == 0).then_some(())
    })
    .await;
    let late = Duration::from_millis(sale.store.now_ms().await.unwrap().saturating_sub(deadline));
    assert!(late <= IN_TIME, "{late:?} after the deadline");
    let Inventory { available, sold, .. } = sale.store.inventory(sound).await.unwrap().unwrap();
    assert_eq!((available, sold), (10_000, 0), "each once");
    let gaps = sale.store.inventory_audit().await.unwrap();
    assert_eq!(gaps.iter().map(|gap| gap.product).collect::<Vec<_>>(), [broken]);

    // Once the books are right again, those that were left behind follow.
    sale.sql(&format!("UPDATE inventory SET reserved = 600 WHERE product_id = {broken}"));
    eventually("the others follow", async || {
        (sale.store.inventory(broken).await.unwrap()?.reserved == 0).then_some(())
    })
    .await;
    assert_eq!(sale.store.inventory_audit().await.unwrap(), []);
    for worker in workers {
        worker.stop().await;
    }
}
