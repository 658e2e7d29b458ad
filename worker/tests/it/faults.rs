//! Servers and workers that go away in the middle.

use spike_domain::{EventState, LedgerState};
use spike_stock::{EventKeys, StockError};
use spike_worker::{Rebuilder, rebuild::RebuildError};

use crate::sale::{Sale, eventually, own_broker, scheduled_event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_redis_is_closed_until_it_is_rebuilt_and_nothing_is_oversold() {
    let sale = Sale::of(4).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, [1, 2, 3]).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(3).await;
    worker.stop().await;

    sale.redis.wipe().unwrap();
    for user in [1, 4] {
        let pressed = eventually("Redis is back", async || match sale.press(epoch, user).await {
            Err(StockError::Redis(_)) => None,
            other => Some(other),
        });
        let pressed = pressed.await;
        assert!(matches!(pressed, Err(StockError::Fenced)), "nobody looks after it yet: {pressed:?}");
    }
    let (one, two) = (sale.worker(), sale.worker());
    let epoch = sale.until_open().await;
    sale.until_at_rest_with(3).await;
    assert!(matches!(sale.press(epoch, 1).await, Ok(spike_stock::reserve::Decision::AlreadyBought(_))));
    sale.buy(epoch, [4]).await;
    assert_eq!(sale.press(epoch, 5).await.unwrap(), spike_stock::reserve::Decision::Short);
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(4).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_restarts_with_its_data_is_fenced_and_loses_no_order() {
    let sale = Sale::of(4).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, [1, 2]).await;
    worker.kill().await;
    sale.redis.restart().unwrap();
    let fenced = eventually("Redis is back", async || match sale.press(epoch, 3).await {
        Err(StockError::Redis(_)) => None,
        other => Some(other),
    });
    let fenced = fenced.await;
    assert!(matches!(fenced, Err(StockError::Fenced)), "old data, no script: {fenced:?}");
    let worker = sale.worker();
    let later = sale.until_open().await;
    assert!(later > epoch);
    assert_eq!(sale.conservation().await.unwrap().F, 2);
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(2).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_was_overtaken_opens_nothing() {
    let sale = Sale::of(4).await;
    let rebuilder = Rebuilder { store: sale.store.clone(), stock: sale.ledger.clone(), inflight_max: 1000 };
    let rebuilt = rebuilder.rebuild(sale.event).await.unwrap();
    assert_eq!((rebuilt.stock, rebuilt.counted, rebuilt.inflight), (4, 0, 0));
    assert!(sale.ledger.fence_open_now(sale.event).await.unwrap());

    // A rebuild of a later epoch has begun and died: the ledger is its own, and a later rebuild takes it.
    let epoch = sale.store.bump_epoch(sale.event, rebuilt.epoch + 1, 0).await.unwrap();
    let slow = sale.ledger.for_rebuild(sale.event).await.unwrap();
    slow.begin(sale.event, epoch).await.unwrap();
    let faster = rebuilder.rebuild(sale.event).await.unwrap();
    assert!(faster.epoch > epoch);
    let late = slow.load(sale.event, epoch, &[], &[]).await;
    assert!(matches!(late, Err(StockError::Refused(_))), "{late:?}");
    let meta = sale.ledger.meta(sale.event).await.unwrap().unwrap();
    assert_eq!((meta.epoch, meta.state, meta.stock), (faster.epoch, LedgerState::Open, Some(4)));

    sale.redis.kill9();
    let error = rebuilder.rebuild(sale.event).await.expect_err("Redis is gone");
    assert!(matches!(error, RebuildError::Stock(StockError::Redis(_))), "{error}");
    sale.redis.restart().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_and_a_worker_that_die_in_the_middle_lose_nothing() {
    let node = own_broker().await;
    let sale = Sale::with_broker(60, node.url("/")).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, 1..=20).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(20).await;

    worker.kill().await;
    for first in [21, 31] {
        sale.buy(epoch, first..first + 10).await;
    }
    sale.publish(&sale.outbox().await).await;
    let worker = sale.worker();
    node.kill9();
    sale.buy(epoch, 41..=50).await;
    node.restart().unwrap();
    // The relay's business: whatever still is in the outbox is published again.
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(50).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_cannot_be_read_is_rebuilt() {
    let sale = Sale::of(4).await;
    let keys = EventKeys::new(sale.event);
    let worker = sale.worker();
    let mut epoch = sale.until_open().await;
    sale.buy(epoch, [1]).await;
    for nonsense in [
        ["HSET", &keys.meta, "state", "melting"],
        ["HSET", &keys.meta, "epoch", "x"],
        ["SET", &keys.stock, "many", "GET"],
    ] {
        command(&nonsense, &sale).await;
        epoch = eventually("the ledger is rebuilt", async || {
            let meta = sale.ledger.meta(sale.event).await.ok()??;
            (meta.epoch > epoch).then_some(())?;
            Some(sale.until_open().await)
        })
        .await;
    }
    sale.buy(epoch, [2]).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(2).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_beyond_repair_keeps_the_watch_from_no_other() {
    let sale = Sale::of(4).await;
    // The watch comes to this event first; no rebuild takes a key of another type.
    let meta = EventKeys::new(sale.event).meta;
    command(&["SET", &meta, "no hash"], &sale).await;
    let other = scheduled_event(&sale.store, 4).await;
    sale.store.set_event_state(other, EventState::Open).await.unwrap();
    let worker = sale.worker();
    eventually("the other ledger opens", async || {
        let meta = sale.ledger.meta(other).await.ok()??;
        (meta.state == LedgerState::Open).then_some(())
    })
    .await;
    command(&["DEL", &meta], &sale).await;
    sale.until_open().await;
    worker.stop().await;
}

async fn command(words: &[&str], sale: &Sale) {
    let client = redis::Client::open(sale.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd(words[0]).arg(&words[1..]).exec_async(&mut connection).await.unwrap();
}
