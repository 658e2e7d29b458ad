//! A hundred users pay while their time to pay runs out.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use loadtest::proof::{Act, Allowances, Bought, Paid, Record, prove};
use spike_domain::clock::now_ms;
use spike_domain::{AttemptStatus, EventId, OrderStatus, UserId};
use tokio::time::{Instant, sleep, sleep_until};

use super::arena::{Arena, Own};
use super::client::Client;
use super::facts;
use crate::system::Sale;

const USERS: usize = 100;
const PAY_TIMEOUT_S: u32 = 6;
/// From when before the deadline the payments go out, and until when after it. Most of it before: on a busy machine a
/// payment takes its time.
const BEFORE_MS: u64 = 3_000;
/// The latter.
const AFTER_MS: u64 = 500;
/// Time for a payment that has no outcome yet to get one.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_hundred_users_pay_while_their_deadline_passes() {
    let settings = [
        ("SPIKE_PAYMENTS_TIMEOUT_MS", "300"),
        ("SPIKE_PAYMENTS_SIMULATED_DELAY_MS", "1500"),
        ("SPIKE_PAYMENTS_RESOLVE_AFTER_MS", "500"),
        ("SPIKE_WORKER_SWEEP_INTERVAL_MS", "100"),
    ];
    let mut arena = Arena::start(Own { broker: false, database: false }, &settings);
    let total = u32::try_from(USERS).expect("a hundred") + 20;
    let event = arena.open(Sale { pay_timeout_s: PAY_TIMEOUT_S, ..Sale::of(total) });
    let payers: Vec<_> = arena
        .system
        .users(USERS)
        .into_iter()
        .enumerate()
        .map(|(at, user)| arena.system.runtime.spawn(pays(at, user, event, arena.gateways)))
        .collect();
    let mut history = Vec::new();
    for payer in payers {
        history.extend(arena.system.runtime.block_on(payer).expect("a client does not panic"));
    }
    facts::wait_for_rest(&arena);

    let facts = facts::read(&arena, event);
    let found = prove(&facts, &history, &Allowances::default());
    assert!(found.is_empty(), "{found:?}");
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    facts.rows.iter().for_each(|row| *ends.entry(row.status.as_str()).or_default() += 1);
    let (paid, cancelled) = (OrderStatus::Paid.as_str(), OrderStatus::Cancelled.as_str());
    assert_eq!(ends.values().sum::<usize>(), USERS, "{ends:?}");
    assert_eq!(ends.len(), 2, "some in time, some too late, and nothing else: {ends:?}");
    assert!(ends.contains_key(paid) && ends.contains_key(cancelled), "{ends:?}");

    // The provider's money: each captured charge has paid one order or is owed to its user.
    let taken = facts.charges.values().filter(|captured| **captured).count();
    let count = |status| facts.attempts.iter().filter(|attempt| attempt.status == status).count();
    let captured = count(AttemptStatus::Captured);
    let due = count(AttemptStatus::RefundDue) + count(AttemptStatus::Refunded);
    assert_eq!((captured, captured + due), (ends[paid], taken), "{ends:?}, {due} to be refunded");
    assert!(due > 0, "nobody was late with money taken: the test has missed its moment");
    let free = i64::from(total) - i64::try_from(ends[paid]).expect("a hundred");
    assert_eq!(facts.ledger.stock, free);
}

/// Buys, and pays about when the deadline is; the same key until there is an outcome.
async fn pays(
    at: usize,
    (user, token): (UserId, String),
    event: EventId,
    gateways: [std::net::SocketAddr; 2],
) -> Vec<Record> {
    let mut rng = Rng::with_seed(at as u64);
    let mut client = Client::new(&gateways);
    let mut told = Vec::new();
    let mut note = |sent_ms, act| told.push(Record { user, sent_ms, answered_ms: now_ms(), act });
    let key = rng.u64(..);
    let order = loop {
        let sent_ms = now_ms();
        let bought = client.buy(at % 2, event, &token, Some(key)).await;
        note(sent_ms, Act::Buy(Some(key), bought));
        match bought {
            Bought::Accepted(order) => break order,
            Bought::Unknown(_) | Bought::Refused => sleep(Duration::from_millis(100)).await,
            Bought::Already(_) | Bought::SoldOut => panic!("{user}: {bought:?}"),
        }
    };
    let deadline = Instant::now() + Duration::from_secs(u64::from(PAY_TIMEOUT_S));
    let wait = Duration::from_millis(rng.u64(..BEFORE_MS + AFTER_MS));
    sleep_until(deadline - Duration::from_millis(BEFORE_MS) + wait).await;
    // Late captures are most likely to meet a cancelled order.
    let simulate = ["success", "late-success", "duplicate-callback"][at % 3];
    let key = rng.u64(..);
    while deadline.elapsed() < PATIENCE {
        let sent_ms = now_ms();
        let (paid, word) = client.pay(at % 2, order, &token, key, simulate).await;
        note(sent_ms, Act::Pay(order, paid));
        if paid != Paid::Unknown && word != "in-flight" {
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    told
}
