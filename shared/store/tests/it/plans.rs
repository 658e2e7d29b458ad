//! SQLite's plan of every statement a sale runs: none of them visits a whole table.
//!
//! The statements are those that the driver reports while a sale is played through, so that none is forgotten
//! and no copy of them grows old. It reports from threads of its own; those of other tests are explained too.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use spike_domain::UserId;
use spike_store::{Adopted, Poison, Store};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::database::{store, url_in};
use crate::sale::{Sale, order};

/// Tables that grow with what is sold, and the aliases by which statements call them.
const LARGE: [&str; 11] = [
    "spike_orders",
    "o",
    "restock_outbox",
    "m",
    "users",
    "inventory",
    "audit_log",
    "orders",
    "order_items",
    "payment_attempts",
    "idempotency_keys",
];

/// Collects the text of every statement.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<BTreeSet<String>>>);

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Statements {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        let thread = std::thread::current();
        if !thread.name().is_some_and(|name| name.starts_with("sqlx-sqlite")) {
            return;
        }
        // A statement that is its own summary is reported as that alone.
        if matches!(field.name(), "db.statement" | "summary") && !value.ends_with('…') {
            let parts = value.split(';').map(str::trim).filter(|part| !part.is_empty());
            self.0.lock().unwrap().extend(parts.map(str::to_owned));
        }
    }
}

/// Everything the protocol does to an event, once.
async fn play(store: &Store) {
    let sale = Sale::of(store, 10).await;
    let orders: Vec<_> = (1..=6).map(order).collect();
    sale.insert(&orders).await;
    sale.statuses(&[orders[0].clone(), order(2)]).await;
    sale.status_of(&orders[0]).await;
    store.orders_of_user(UserId(1), None, 10).await.unwrap();
    store.pay_order(orders[0].order).await.unwrap();
    store.cancel_order(orders[1].order, orders[1].user).await.unwrap();
    store.insert_adopted(sale.event, sale.epoch, &[(order(9), Adopted::Rejected)]).await.unwrap();
    let bad = order(8);
    let poison = Poison { order: &bad, source: "s", message_id: "m", reason: "r", payload: b"" };
    store.insert_poison(sale.event, sale.epoch, poison).await.unwrap();
    let ids: Vec<_> = orders.iter().map(|order| order.order).collect();
    store.rows_missing(sale.event, &ids).await.unwrap();
    store.row_statuses(sale.event, &ids).await.unwrap();
    store.open_markers(10).await.unwrap();
    store.markers_done(sale.event, sale.epoch, &ids).await.unwrap();
    store.expire_due(10).await.unwrap();
    let hasty = Sale::with_time_to_pay(store, 10, 1).await;
    hasty.insert(&[order(1)]).await;
    crate::sale::eventually("an order expires", async || {
        store.expire_due(10).await.unwrap().first().map(|_| ())
    })
    .await;
    store.rebuild_snapshot(sale.event, sale.epoch, &[], &HashSet::new()).await.unwrap();
    store.all_order_ids(sale.event).await.unwrap();
    store.all_orders(sale.event).await.unwrap();
    sale.figures().await;
    crate::audit_log::every_filter(store).await;
    crate::shop::every_statement(store).await;
}

#[tokio::test]
async fn no_statement_of_a_sale_visits_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&url_in(&folder)).await;
    let heard = Statements::default();
    let queries = Targets::new().with_target("sqlx::query", tracing::Level::DEBUG);
    let subscriber = tracing_subscriber::registry().with(heard.clone().with_filter(queries));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    play(&store).await;
    let statements = heard.0.lock().unwrap().clone();

    let mut conn = sqlx::SqliteConnection::connect(&url_in(&folder)).await.unwrap();
    let mut explained = BTreeSet::new();
    for statement in &statements {
        let word = statement.split(' ').next().unwrap_or_default();
        if !matches!(word, "SELECT" | "UPDATE" | "INSERT") {
            continue;
        }
        explained.insert(word);
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
        for step in plan.fetch_all(&mut conn).await.unwrap() {
            let step: String = step.get("detail");
            let table = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            assert!(!table.is_some_and(|table| LARGE.contains(&table)), "{step}\n{statement}");
        }
    }
    assert_eq!(explained.into_iter().collect::<Vec<_>>(), ["INSERT", "SELECT", "UPDATE"]);
    for heart in [
        "FROM spike_orders WHERE status",
        "live_user IN",
        "UPDATE restock_outbox",
        "AS doubled",
        "INTO payment_attempts",
        "untold = 1",
    ] {
        assert!(statements.iter().any(|text| text.contains(heart)), "{heart} did not run: {statements:#?}");
    }
}
