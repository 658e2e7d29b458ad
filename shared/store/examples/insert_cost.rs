//! What the worker's transaction costs a row: `cargo run --release -p spike-store --example insert_cost -- [url]`,
//! on a database that may be filled. Batches of several sizes, each batch one transaction.

use std::time::{Duration, Instant};

use spike_domain::clock::now_ms;
use spike_domain::{
    Currency, EntryId, EventId, Money, OrderId, OutboxEntry, ProductId, QueuedOrder, UserId, Window,
};
use spike_store::{DatabaseSettings, NewEvent, NewProduct, Store, StoreError};

/// Orders a run.
const ROWS: usize = 51_200;

#[tokio::main]
async fn main() -> Result<(), StoreError> {
    // A private MariaDB when there is no URL.
    let url = std::env::args().nth(1).unwrap_or_else(spike_devstack::fixture::database);
    let store = Store::connect(&DatabaseSettings {
        url,
        connections_min: 0,
        connections_max: 4,
        acquire_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(10),
    })
    .await?;
    store.migrate().await?;
    for batch in [1, 32, 256, 1024] {
        let (event, epoch) = sale(&store).await?;
        // One row a transaction is the disk's speed, and needs no more than a few to show it.
        let rows = if batch == 1 { 512 } else { ROWS };
        let entries: Vec<OutboxEntry> = (0..rows / batch).map(|number| entry(epoch, number, batch)).collect();
        let mut slowest = Duration::ZERO;
        let begun = Instant::now();
        for entry in &entries {
            let begun = Instant::now();
            store.insert_entries(event, std::slice::from_ref(entry)).await?;
            slowest = slowest.max(begun.elapsed());
        }
        let each = begun.elapsed() / u32::try_from(rows).expect("few");
        let audit = store.audit_event(event).await?;
        assert!(audit.holds() && audit.figures.order_count() == rows as u64, "{audit:?}");
        println!("{batch:>5} rows a transaction: {each:>10.2?} a row, slowest transaction {slowest:.2?}");
    }
    store.close().await;
    Ok(())
}

async fn sale(store: &Store) -> Result<(EventId, u64), StoreError> {
    let price = Money { minor: 500, currency: Currency::parse("EUR").expect("a currency") };
    let stock = u32::try_from(ROWS).expect("few");
    let product: ProductId = store
        .create_product(
            NewProduct {
                sku: OrderId::new(now_ms()).to_string(),
                name: "Lamp".into(),
                description: String::new(),
                price,
                stock,
            },
            None,
        )
        .await?;
    let window = Window { starts_at_ms: now_ms(), ends_at_ms: now_ms() + 3_600_000 };
    let name = "Measured".into();
    let event = NewEvent {
        product_id: product,
        name,
        price,
        total: stock,
        per_user_limit: 1,
        pay_timeout_s: 900,
        window,
    };
    let event = store.create_event(event, None).await?;
    Ok((event, store.bump_epoch(event, 1, 0).await?))
}

/// An entry of `size` orders, each of a user who appears once; users arrive in no order.
fn entry(epoch: u64, number: usize, size: usize) -> OutboxEntry {
    let orders = (number * size..(number + 1) * size).map(|at| {
        let user = UserId(i64::try_from(at * 48_271 % 2_147_483_647).expect("below 2^31"));
        let accepted_at_ms = now_ms();
        let key = Some(format!("{at:064x}"));
        QueuedOrder { order: OrderId::new(accepted_at_ms), user, quantity: 1, key, accepted_at_ms }
    });
    OutboxEntry::new(EntryId { epoch, sequence: number as u64 }, orders.collect())
}
