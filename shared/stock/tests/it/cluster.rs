//! The ledger on a private Redis Cluster: each event on its own master, and the fence when that is another one.

use std::time::Duration;

use spike_devstack::{RedisCluster, fixture};
use spike_domain::{ClaimState, EventId, LedgerState, UserId};
use spike_stock::ledger::settled;
use spike_stock::reserve::Decision;
use spike_stock::stock::Timeouts;
use spike_stock::{EndedOrder, EventKeys, Stock, StockError, scripts};

use crate::server::{EPOCH, buyer, open};

const PATIENCE: Duration = Duration::from_secs(20);

fn connect(cluster: &RedisCluster) -> Stock {
    let urls: Vec<_> = cluster.places().iter().map(|place| format!("redis://{place}")).collect();
    Stock::cluster(&urls, Timeouts { connect: PATIENCE, command: PATIENCE }).unwrap()
}

/// The rebuild's own way: every step on one connection to the event's master.
async fn rebuild(stock: &Stock, event: EventId, epoch: u64) {
    open(&stock.for_rebuild(event).await.unwrap(), event, epoch, 5, 1, 1000).await;
}

async fn accepts(stock: &Stock, event: EventId, epoch: u64, user: i64) {
    let decided = stock.reserve(event, epoch, 7, &[buyer(user, 1, None)]).await.unwrap();
    assert_eq!(decided.decisions, [Decision::Accepted]);
}

async fn fenced(stock: &Stock, event: EventId, epoch: u64) {
    let closed = stock.reserve(event, epoch, 7, &[buyer(9, 1, None)]).await;
    assert!(matches!(closed, Err(StockError::Fenced)), "{closed:?}");
    assert!(!stock.fence_open(event, epoch).await.unwrap());
}

/// The numbers of the nodes that have the reserve script of that epoch.
fn loaded(cluster: &RedisCluster, event: EventId, epoch: u64) -> Vec<usize> {
    let sha = scripts::reserve(event, epoch).sha;
    let has = |node: &usize| {
        // Without keys nobody sends it on, and nothing is found to decide about.
        let answer = cluster.nodes()[*node].command(&["EVALSHA", &sha, "0"]);
        !format!("{answer:?}").contains("NOSCRIPT")
    };
    (0..cluster.nodes().len()).filter(has).collect()
}

/// Events on all three masters, one of each.
fn one_a_master(cluster: &RedisCluster) -> Vec<(EventId, usize)> {
    let mut found: Vec<(EventId, usize)> = Vec::new();
    for event in (1..).map(EventId).take_while(|event| event.0 < 100) {
        let master = cluster.master_of(&EventKeys::new(event).meta).unwrap();
        if !found.iter().any(|&(_, known)| known == master) {
            found.push((event, master));
        }
    }
    assert_eq!(found.len(), 3);
    found
}

#[tokio::test]
async fn events_live_on_their_masters_and_every_call_finds_them() {
    let cluster = fixture::redis_cluster();
    let stock = connect(&cluster);
    assert!(stock.sharded());
    stock.ping().await.unwrap();
    assert!(stock.time_ms().await.unwrap() > EPOCH);
    let events = one_a_master(&cluster);
    for &(event, master) in &events {
        rebuild(&stock, event, EPOCH).await;
        assert_eq!(loaded(&cluster, event, EPOCH), [master], "nobody else has the fence's key");
    }
    let ids: Vec<EventId> = events.iter().map(|&(event, _)| event).collect();
    let mut listed = stock.events().await.unwrap();
    listed.sort_unstable();
    assert_eq!(listed, ids);
    for &event in &ids {
        accepts(&stock, event, EPOCH, 1).await;
        the_life_of_an_order(&stock, event).await;
    }
    let views = stock.views(&ids).await.unwrap();
    assert!(views.into_iter().all(|view| view.unwrap().unwrap().stock == Some(5)));
    for &event in &ids {
        stock.transition(event, EPOCH, LedgerState::Closed, None).await.unwrap();
        stock.archive(event, EPOCH, Duration::from_secs(60)).await.unwrap();
    }
    assert_eq!(stock.events().await.unwrap(), []);
}

/// Relay, settle, mark, release, and what a rebuild reads.
async fn the_life_of_an_order(stock: &Stock, event: EventId) {
    let meta = stock.meta(event).await.unwrap().unwrap();
    assert_eq!((meta.epoch, meta.stock, meta.inflight), (EPOCH, Some(4), Some(1)));
    assert_eq!(stock.held_epoch(event).await.unwrap(), EPOCH);
    assert!(!stock.ensure_group(event).await.unwrap(), "open has made it");
    let read = stock.read_new(event, "me", 10).await.unwrap();
    let claimed = stock.claim_idle(event, "other", 0, "0-0", 10).await.unwrap();
    assert_eq!((read.len(), &claimed.entries), (1, &read));
    assert_eq!(stock.ack(event, &[read[0].id]).await.unwrap(), 1);
    let entries = stock.entries(event, None, 10).await.unwrap().entries;
    let order = entries[0].orders[0].order;
    assert_eq!(stock.known_orders(event).await.unwrap().len(), 1);
    assert_eq!(stock.claimed_orders(event).await.unwrap(), [order]);
    let counted = stock.adopt(event, EPOCH, 7, &entries[0].orders).await.unwrap();
    assert_eq!(counted, [true]);
    assert_eq!(
        stock.settle(event, EPOCH, &[settled(&entries[0], |_| ClaimState::Pending)]).await.unwrap(),
        1
    );
    let ended = |state| [EndedOrder { user: UserId(1), order, state }];
    stock.mark(event, &ended(ClaimState::Paid)).await.unwrap();
    let claim = stock.lookup(event, UserId(1)).await.unwrap().0.unwrap();
    assert_eq!(claim.state, Some(ClaimState::Paid));
    assert_eq!(stock.release(event, EPOCH, &ended(ClaimState::Cancelled)).await.unwrap(), 1);
    assert_eq!(stock.outbox_length(event).await.unwrap(), 0);
    let lock = format!("spike:{{{event}}}:rebuild");
    assert!(stock.try_lock(&lock, "me", PATIENCE).await.unwrap());
    assert!(!stock.try_lock(&lock, "other", PATIENCE).await.unwrap());
    assert!(stock.keep_lock(&lock, "me", None).await.unwrap());
    stock.hint(event).await.unwrap();
}

#[tokio::test]
async fn a_new_master_is_behind_the_fence_and_so_is_an_old_one_that_comes_back() {
    let cluster = fixture::redis_cluster();
    let stock = connect(&cluster);
    let (event, first) = one_a_master(&cluster)[0];
    rebuild(&stock, event, EPOCH).await;
    accepts(&stock, event, EPOCH, 1).await;

    let deposed = stock.for_rebuild(event).await.unwrap();
    let second = cluster.fail_over(first).unwrap();
    fenced(&stock, event, EPOCH).await;
    assert!(
        deposed.load_fenced(event, EPOCH).await.is_err(),
        "a rebuild does not go on with a deposed master"
    );
    assert_eq!(loaded(&cluster, event, EPOCH), [first]);
    rebuild(&stock, event, EPOCH + 1).await;
    accepts(&stock, event, EPOCH + 1, 2).await;

    // It has never restarted and so has the script it sold with.
    assert_eq!(cluster.fail_over(second).unwrap(), first);
    assert_eq!(loaded(&cluster, event, EPOCH), [first]);
    fenced(&stock, event, EPOCH + 1).await;
    rebuild(&stock, event, EPOCH + 2).await;
    accepts(&stock, event, EPOCH + 2, 3).await;
}

#[tokio::test]
async fn a_slot_that_moves_is_followed_and_sells_after_a_rebuild() {
    let cluster = fixture::redis_cluster();
    let stock = connect(&cluster);
    let events = one_a_master(&cluster);
    let ((event, from), (_, to)) = (events[0], events[1]);
    let keys = EventKeys::new(event);
    rebuild(&stock, event, EPOCH).await;
    accepts(&stock, event, EPOCH, 1).await;

    let moving = cluster.begin_move(&keys.meta, to).unwrap();
    for key in keys.all() {
        moving.carry(key).unwrap();
    }
    assert_eq!(stock.held_epoch(event).await.unwrap(), EPOCH, "asked for where it goes");
    moving.finish().unwrap();
    let meta = stock.meta(event).await.unwrap().unwrap();
    assert_eq!((meta.stock, meta.inflight), (Some(4), Some(1)));
    fenced(&stock, event, EPOCH).await;
    assert_eq!(loaded(&cluster, event, EPOCH), [from]);
    rebuild(&stock, event, EPOCH + 1).await;
    assert_eq!(loaded(&cluster, event, EPOCH + 1), [to]);
    accepts(&stock, event, EPOCH + 1, 2).await;
}

#[tokio::test]
async fn a_master_that_is_silent_is_given_up_for_its_replica() {
    let mut cluster = fixture::redis_cluster();
    let urls: Vec<_> = cluster.places().iter().map(|place| format!("redis://{place}")).collect();
    let short = Duration::from_millis(300);
    let stock = Stock::cluster(&urls, Timeouts { connect: short, command: short }).unwrap();
    let events = one_a_master(&cluster);
    let ((event, silent), (other, _)) = (events[0], events[1]);
    let patient = connect(&cluster);
    rebuild(&patient, event, EPOCH).await;
    rebuild(&patient, other, EPOCH).await;
    let silent = cluster.take(silent);
    silent.pause().unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    let mut spared = 0;
    loop {
        // The other masters answer all the while.
        spared += usize::from(stock.meta(other).await.is_ok());
        match stock.fence_open(event, EPOCH).await {
            Ok(open) => break assert!(!open, "the replica has no script"),
            Err(error) => assert!(std::time::Instant::now() < until, "{error}"),
        }
    }
    assert!(spared > 0);
    silent.resume().unwrap();
}
