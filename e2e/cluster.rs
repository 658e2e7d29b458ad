//! A sale on a Redis Cluster whose master is killed in the middle: its replica is promoted, stays behind the fence until the
//! worker has compared it with the database, and then sells the rest. Nobody who was told 202 loses the order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use spike_devstack::fixture;
use spike_domain::{EventId, OrderId, UserId};

use crate::http::Answer;
use crate::poll::{PATIENCE, lasting, until};
use crate::system::{Addresses, Sale, System, order_of};

const STOCK: u32 = 300;
const BUYERS: usize = 400;
const CLIENTS: usize = 4;
/// Orders told before the master is killed.
const BEFORE: usize = 60;
/// A database of a test's own gives its first event this number.
const EVENT: EventId = EventId(1);
const META: &str = "spike:{1}:meta";

/// What buyers were told.
#[derive(Default)]
struct Told {
    orders: Mutex<Vec<(UserId, OrderId)>>,
    refused: Mutex<BTreeMap<String, u32>>,
    accepted: AtomicUsize,
    killed: AtomicBool,
    /// The first order told after the new master was seen.
    sold_again: Mutex<Option<Instant>>,
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_killed_master_takes_no_acknowledged_order_with_it() {
    let system = start();
    let event = system.open(Sale::of(STOCK));
    assert_eq!(event, EVENT, "the master was chosen by it");
    let epoch = || system.runtime.block_on(system.store.event(event)).ok().flatten().map(|row| row.epoch);
    let before = epoch().expect("the event has a row");
    let told = Told::default();
    let buyers = system.users(BUYERS);
    let (killed, promoted) = std::thread::scope(|scope| {
        for share in buyers.chunks(BUYERS.div_ceil(CLIENTS)) {
            scope.spawn(|| share.iter().for_each(|buyer| buy(&system, buyer, &told)));
        }
        until("the sale is under way", || (told.accepted.load(Ordering::SeqCst) >= BEFORE).then_some(()));
        let killed = Instant::now();
        system.redis.kill9();
        told.killed.store(true, Ordering::SeqCst);
        until("the replica serves the event", || system.cluster.as_ref()?.master_of(META).ok());
        let promoted = killed.elapsed();
        // As its supervisor would; it comes back as the replica without which nothing is acknowledged.
        system.redis.restart().expect("it starts again");
        (killed, promoted)
    });
    let sold_again = lock(&told.sold_again).expect("the sale went on").duration_since(killed);
    let orders = lock(&told.orders).clone();
    eprintln!(
        "promoted after {promoted:?}, sold again after {sold_again:?}, {} orders, refused {:?}",
        orders.len(),
        lock(&told.refused)
    );
    assert!(epoch().expect("a row") > before, "only a rebuild opens the promoted master's fence");
    let conservation = system.audit_acknowledged(event, &orders);
    assert!(conservation.holds(), "{conservation:?}");
    assert_eq!(conservation.L, i64::from(STOCK), "every unit is sold, and none twice");
}

/// Gateway and worker on a cluster; `redis` of the system is the master of its first event.
fn start() -> System {
    let mut cluster = fixture::redis_cluster();
    let places = cluster.places();
    let master = cluster.take(cluster.master_of(META).expect("every slot is served"));
    let (amqp, database) = (fixture::vhost(), fixture::database());
    let redis = format!("redis://{}", places[0]);
    let addresses = Addresses { redis, amqp, database: database.clone(), migration: None };
    let settings = [
        ("SPIKE_REDIS_CLUSTER", "true"),
        ("SPIKE_REDIS_NODES", &places[1..].join(",")),
        ("SPIKE_REDIS_WAIT_REPLICAS", "1"),
        ("SPIKE_HOT_REDIS_TIMEOUT_MS", "2000"),
    ];
    let mut system = System::start_with(master, &addresses, &database, &settings);
    system.cluster = Some(cluster);
    system
}

/// Presses, with one key, until there is an answer that is a decision.
fn buy(system: &System, (user, token): &(UserId, String), told: &Told) {
    let key = format!("{user}-once");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = system.buy(EVENT, token, &[("Idempotency-Key", &key)], None);
        match answer.status {
            200..300 => return note_order(told, *user, &answer),
            503 => {
                *lock(&told.refused).entry(answer.reason()).or_default() += 1;
                assert!(Instant::now() < deadline, "not decided in time: {}", answer.reason());
                lasting(Duration::from_millis(20));
            }
            409 if answer.reason() == "sold-out" => return,
            other => panic!("{other}: {}", answer.reason()),
        }
    }
}

fn note_order(told: &Told, user: UserId, answer: &Answer) {
    lock(&told.orders).push((user, order_of(answer)));
    told.accepted.fetch_add(1, Ordering::SeqCst);
    if told.killed.load(Ordering::SeqCst) {
        lock(&told.sold_again).get_or_insert_with(Instant::now);
    }
}
