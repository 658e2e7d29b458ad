//! After a sale: its ledger is put away; and what does not add up is seen, and mended where it is explained.

use spike_domain::{EventState, UserId};

use crate::sale::{Sale, eventually};

fn key(sale: &Sale, part: &str) -> String {
    format!("spike:{{{}}}:{part}", sale.event)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_past_events_ledger_is_put_away_and_its_rows_stay() {
    let mut sale = Sale::of(5).await;
    sale.set("SPIKE_WORKER_ARCHIVE_AFTER_S", "1");
    sale.set("SPIKE_WORKER_ARCHIVE_INTERVAL_MS", "100");
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    let orders = sale.buy(epoch, 1..=2).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(2).await;
    sale.store.pay_order(orders[0]).await.unwrap();
    sale.store.set_event_state(sale.event, EventState::Closed).await.unwrap();
    let ttl =
        |sale: &Sale| sale.redis.command(&["PTTL", &key(sale, "buyers")]).unwrap().parse::<i64>().unwrap();
    let archived = async |sale: &Sale| sale.store.event(sale.event).await.unwrap().unwrap().archived;
    eventually("all but the unpaid order's unit is back", async || {
        let row = sale.store.event(sale.event).await.unwrap().unwrap();
        (row.returned == 3).then_some(())
    })
    .await;
    assert!(!archived(&sale).await && ttl(&sale) == -1, "an order may still be paid");

    sale.store.cancel_order(orders[1], UserId(2)).await.unwrap();
    eventually("its keys have a lifetime", async || (ttl(&sale) > 0).then_some(())).await;
    assert!(archived(&sale).await);
    eventually("it is off the list", async || sale.ledger.events().await.ok()?.is_empty().then_some(()))
        .await;
    worker.stop().await;

    // The keys are gone one day; no worker makes the ledger anew, and the rows still add up.
    sale.redis.command(&["FLUSHALL"]).unwrap();
    let worker = sale.worker();
    let other = crate::sale::scheduled_event(&sale.store, 1).await;
    sale.store.set_event_state(other, EventState::Open).await.unwrap();
    eventually("the watch has looked at every event", async || {
        sale.ledger.fence_open_now(other).await.ok()?.then_some(())
    })
    .await;
    assert_eq!(sale.ledger.meta(sale.event).await.unwrap(), None);
    assert!(sale.store.audit_event(sale.event).await.unwrap().holds());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_orders_are_deleted_only_where_that_is_asked_for() {
    let mut sale = Sale::of(3).await;
    for (name, value) in [("AFTER_S", "1"), ("INTERVAL_MS", "100")] {
        sale.set(&format!("SPIKE_WORKER_ARCHIVE_{name}"), value);
    }
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    let orders = sale.buy(epoch, 1..=2).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(2).await;
    sale.store.pay_order(orders[0]).await.unwrap();
    sale.store.cancel_order(orders[1], UserId(2)).await.unwrap();
    sale.store.set_event_state(sale.event, EventState::Closed).await.unwrap();
    let archived =
        async |sale: &Sale| sale.store.event(sale.event).await.unwrap().unwrap().archived.then_some(());
    eventually("it is archived", async || archived(&sale).await).await;
    sale.sql("UPDATE spike_events SET archived_at_ms = archived_at_ms - 5 * 86400000");
    let rows = |sale: &Sale| sale.sql("SELECT COUNT(*) FROM spike_orders").trim().to_owned();
    // By the setting's default, past many rounds of the job.
    let since = std::time::Instant::now();
    eventually("a second has passed", async || (since.elapsed().as_secs() >= 1).then_some(())).await;
    assert_eq!(rows(&sale), "2");
    worker.stop().await;

    sale.set("SPIKE_WORKER_RETENTION_DAYS", "6");
    let worker = sale.worker();
    let since = std::time::Instant::now();
    eventually("a second has passed", async || (since.elapsed().as_secs() >= 1).then_some(())).await;
    assert_eq!(rows(&sale), "2", "not so old yet");
    worker.stop().await;

    sale.set("SPIKE_WORKER_RETENTION_DAYS", "5");
    let worker = sale.worker();
    eventually("they are gone", async || (rows(&sale) == "0").then_some(())).await;
    let kept =
        sale.sql("SELECT reserved, paid, sold, returned, orders_deleted_at_ms IS NOT NULL FROM spike_events");
    assert_eq!(kept.split_whitespace().collect::<Vec<_>>(), ["1", "1", "1", "2", "1"], "what was sold");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drift_that_a_lost_order_explains_is_mended_and_another_is_not() {
    let mut sale = Sale::of(5).await;
    for (name, value) in [("INTERVAL_MS", "100"), ("REPAIR_AFTER_S", "1")] {
        sale.set(&format!("SPIKE_WORKER_RECONCILE_{name}"), value);
    }
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, 1..=2).await;
    let entry = sale.outbox().await.remove(0);
    // No fault of ours does this: an accepted entry vanishes before anybody has seen it.
    sale.redis.command(&["XDEL", &key(&sale, "outbox"), &entry.id.to_string()]).unwrap();
    sale.redis.command(&["DECRBY", &key(&sale, "inflight"), "2"]).unwrap();
    eventually("the units of the lost orders are for sale again", async || {
        let now = sale.conservation().await?;
        (now.R == 5 && now.holds()).then_some(())
    })
    .await;
    let lost = "SELECT COUNT(*) FROM spike_orders WHERE status = 5";
    assert_eq!(sale.sql(lost).trim(), "2", "each has a row that its buyer sees");

    // Units out of nowhere: that is for a person.
    let mended = sale.until_open().await;
    sale.redis.command(&["INCR", &key(&sale, "stock")]).unwrap();
    let since = std::time::Instant::now();
    eventually("well past the age at which an explained difference is mended", async || {
        (since.elapsed().as_secs() >= 3).then_some(())
    })
    .await;
    assert_eq!(sale.conservation().await.unwrap().drift(), -1);
    assert_eq!(sale.ledger.meta(sale.event).await.unwrap().unwrap().epoch, mended, "not rebuilt");
    worker.stop().await;
}
