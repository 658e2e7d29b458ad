//! SQLite's plan of every statement a sale runs: none of them visits a whole table.
//!
//! The statements are those that the driver reports while a sale is played through, so that none is forgotten
//! and no copy of them grows old. It reports from threads of its own; those of other tests are explained too.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use spike_domain::{EventState, UserId};
use spike_store::{Adopted, EventList, EventSort, Poison, Schedule, Store};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::database::{store, url_in};
use crate::sale::{Sale, order};

/// Tables that grow with what is sold, and the aliases by which statements call them.
const LARGE: [&str; 22] = [
    "spike_orders",
    "o",
    "a",
    "r",
    "l",
    "restock_outbox",
    "m",
    "spike_events",
    "e",
    "tried",
    "simulated_payments",
    "sessions",
    "refresh_tokens",
    "revocations",
    "dead_letters",
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
    poll(store, &sale).await;
    ask(store).await;
    crate::audit_log::every_filter(store).await;
    crate::shop::every_statement(store).await;
}

/// Everything that is asked of events again and again, and what lists ask.
async fn poll(store: &Store, sale: &Sale<'_>) {
    store.event(sale.event).await.unwrap();
    store.events_for_gateways().await.unwrap();
    store.events_to_watch().await.unwrap();
    store.units_to_move().await.unwrap();
    let schedule = Schedule { warm_up_before_ms: 1000, close_after_ms: 1000 };
    store.follow_schedule(schedule, spike_domain::clock::now_ms()).await.unwrap();
    for state in [None, Some(EventState::Open)] {
        for sort in EventSort::ALL {
            for descending in [false, true] {
                let list = EventList { state, sort, descending, page: 1, page_size: 20 };
                store.list_events(&list).await.unwrap();
            }
        }
    }
}

/// What is asked for with a request, of accounts, sessions and products, and what is purged again and again.
async fn ask(store: &Store) {
    store.product(spike_domain::ProductId(1)).await.unwrap();
    store.inventory(spike_domain::ProductId(1)).await.unwrap();
    store.movements(spike_domain::ProductId(1), None, 9).await.unwrap();
    store.user_by_email("nobody@shop.example").await.unwrap();
    store.user_by_id(UserId(1)).await.unwrap();
    store.revocations(0).await.unwrap();
    store.revocations_since(0, 1000).await.unwrap();
    store.purge_sessions(9, 0).await.unwrap();
    for event in [spike_domain::EventId(0), spike_domain::EventId(1)] {
        store.events_to_delete_orders_of(0, event, 9).await.unwrap();
        drop(store.delete_orders_of(event, 0, 9).await);
    }
    store.delete_shop_orders(0, 9).await.unwrap();
    store.order_in_event(spike_domain::EventId(1), UserId(1)).await.unwrap();
    store.order_for_user(order(1).order, UserId(1)).await.unwrap();
    store.order_status(order(1).order, UserId(1)).await.unwrap();
    store.has_admin().await.unwrap();
}

/// Whether a statement may go through a table: one that asks for a page of all of it, in the order of an index, or for how
/// much there is.
fn may_scan(statement: &str, steps: &[String]) -> bool {
    let everything = !statement.contains("WHERE");
    let sorted = !steps.iter().any(|step| step.contains("TEMP B-TREE"));
    everything && (statement.contains("COUNT(*) AS total") || (statement.contains("LIMIT") && sorted))
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
        let steps = plan.fetch_all(&mut conn).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        for step in &steps {
            let table = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            let large = table.is_some_and(|table| LARGE.contains(&table));
            assert!(!large || may_scan(statement, &steps), "{step}\n{statement}");
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
        "units_due = 1",
        "UNION SELECT id FROM spike_events",
        "ORDER BY ends_at_ms DESC",
    ] {
        assert!(statements.iter().any(|text| text.contains(heart)), "{heart} did not run: {statements:#?}");
    }
}
