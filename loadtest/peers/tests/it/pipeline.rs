//! The conventional pipeline: accepted presses become messages, messages become rows.

use std::collections::HashSet;
use std::time::Duration;

use spike_devstack::fixture;
use spike_domain::{Currency, EventState, Money, OrderStatus, UserId, Window, clock};
use spike_peers::queue::QUEUE;
use spike_store::{DatabaseSettings, NewEvent, NewProduct, Store};

use super::client::{Client, until};
use super::process::Peer;
use super::shop::{PER_USER_LIMIT, config, open, press, settings, token};

const PRESSES: i64 = 40;
const STOCK: u32 = 30;

#[test]
fn accepted_presses_become_rows_and_the_queue_is_empty() {
    let (redis, database, amqp) = (fixture::redis(), fixture::database(), fixture::vhost());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(migrated(&database));
    let def = runtime.block_on(opened_event(&store));
    let event = def.id;
    let epoch = runtime.block_on(store.bump_epoch(event, 1, clock::now_ms())).unwrap();
    runtime.block_on(open(&redis, &def, epoch));

    let env = settings(&redis, &[]);
    let service = Peer::axum(&redis, &env, &event.to_string(), epoch, Some(&amqp));
    let arguments = ["--amqp", &amqp, "--database", &database, "--event", &event.to_string()];
    let mut client = Client::connect(service.address());
    let mut accepted = HashSet::new();
    for user in 1..=PRESSES {
        client.send(press(event, &token(&config(&env), user, 0), "Idempotency-Key: k\r\n", "").as_bytes());
        let answer = client.answer();
        let wanted = if user <= i64::from(STOCK) { 202 } else { 409 };
        assert_eq!(answer.status, wanted, "{answer:?}");
        if answer.status == 202 {
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            accepted.insert((user, body["data"]["order_id"].as_str().unwrap().to_owned()));
        }
    }
    // The broker counts now and then only.
    until("every accepted order is a message", || messages(&amqp) == STOCK as usize);

    let worker = Peer::start(env!("CARGO_BIN_EXE_peer-pipeline-worker"), &arguments, &[]);
    assert_eq!(worker.listens, format!("queue {QUEUE}"));
    until("the queue is empty", || messages(&amqp) == 0);
    let figures = runtime.block_on(store.conservation(event)).unwrap();
    assert_eq!(figures.live().units, u64::from(STOCK));
    let rows = (1..=PRESSES).filter_map(|user| {
        let row = runtime.block_on(store.order_in_event(event, UserId(user))).unwrap()?;
        assert_eq!((row.status, row.epoch, row.quantity), (OrderStatus::Pending, epoch, 1));
        Some((user, row.order.to_string()))
    });
    assert_eq!(rows.collect::<HashSet<_>>(), accepted, "each user's row is the order they were told");
    assert!(runtime.block_on(store.audit_event(event)).unwrap().holds());
}

async fn migrated(url: &str) -> Store {
    let settings = DatabaseSettings {
        url: url.to_owned(),
        connections_min: 0,
        connections_max: 4,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(20),
    };
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// A running event of a product of its own.
async fn opened_event(store: &Store) -> spike_domain::EventDef {
    let price = Money { minor: 500, currency: Currency::parse("EUR").unwrap() };
    let product = NewProduct {
        sku: "lamp".into(),
        name: "Lamp".into(),
        description: String::new(),
        price,
        stock: STOCK,
    };
    let product_id = store.create_product(product, None).await.unwrap();
    let now = clock::now_ms();
    let event = NewEvent {
        product_id,
        name: "Sale".into(),
        price,
        total: STOCK,
        per_user_limit: PER_USER_LIMIT,
        pay_timeout_s: 3600,
        window: Window { starts_at_ms: now - 1000, ends_at_ms: now + 3_600_000 },
    };
    let event = store.create_event(event, None).await.unwrap();
    store.set_event_state(event, EventState::Open).await.unwrap().def
}

/// Messages in the peers' queue, in hand or not.
fn messages(amqp: &str) -> usize {
    let (_, vhost) = amqp.rsplit_once('/').unwrap();
    let queues = fixture::rabbit().ctl(&["list_queues", "--quiet", "-p", vhost, "name", "messages"]).unwrap();
    let line = queues.lines().find_map(|line| line.strip_prefix(&format!("{QUEUE}\t")));
    line.map_or(0, |count| count.parse().unwrap())
}
