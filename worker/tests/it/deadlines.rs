//! Unpaid orders are cancelled at their deadline: by the cancel queue, and without it by the sweep.

use std::time::Duration;

use spike_broker::topology::CANCEL;
use spike_broker::{Forward, Outgoing, Publisher, Route, Timeouts, Trail};
use spike_devstack::fixture;
use spike_domain::{DeadlineMessage, OrderStatus};

use crate::sale::{PATIENCE, Sale, eventually};

/// A sale whose orders are to be paid within so long.
async fn paid_within(seconds: u32, settings: &[(&str, &str)]) -> Sale {
    let sale = Sale::of_with(20, settings).await;
    sale.sql(&format!("UPDATE spike_events SET pay_timeout_s = {seconds}"));
    sale
}

/// How late the last order was cancelled, in milliseconds by the database's clock.
fn lateness_ms(sale: &Sale) -> i64 {
    let text = sale
        .sql("SELECT MAX(CAST(updated_at_ms AS SIGNED) - expires_at_ms) FROM spike_orders WHERE status = 3");
    text.trim().parse().unwrap()
}

async fn cancelled(sale: &Sale, count: usize) {
    eventually("they are cancelled", async || {
        let orders = sale.store.all_order_ids(sale.event).await.unwrap();
        let rows = sale.store.row_statuses(sale.event, &orders).await.unwrap().rows;
        let over = rows.iter().filter(|(_, _, status)| *status == OrderStatus::Cancelled).count();
        (over == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cancel_queue_cancels_while_the_sweep_rests() {
    // The sweep looks once at its start, and not again in this test's life.
    let sale = paid_within(3, &[("SPIKE_WORKER_SWEEP_INTERVAL_MS", "600000")]).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, 1..=4).await;
    sale.publish(&sale.outbox().await).await;
    cancelled(&sale, 4).await;
    assert!(lateness_ms(&sale) >= 0, "never before the deadline");
    eventually("their stock is back", async || {
        let now = sale.conservation().await?;
        (now.at_rest() && now.R == 20 && now.holds()).then_some(())
    })
    .await;
    eventually("every message is done", async || (sale.queue(CANCEL) == Some(0)).then_some(())).await;
    assert_eq!(sale.letters().await, []);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_early_cancels_nothing_and_one_that_nobody_reads_is_parked() {
    let sale = paid_within(3600, &[("SPIKE_WORKER_SWEEP_INTERVAL_MS", "600000")]).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, [1]).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(1).await;

    let timeouts = Timeouts { connect: PATIENCE, confirm: PATIENCE };
    let mut publisher = Publisher::connect(&sale.amqp_url, timeouts).await.unwrap();
    let soon = sale.store.now_ms().await.unwrap() + 2500;
    let message = |name: &str, body: Vec<u8>| Forward {
        to: Route::Cancel(Duration::from_secs(1)),
        message: Outgoing { message_id: name.into(), body },
        trail: Trail::default(),
    };
    let early = message("early", DeadlineMessage::new(sale.event, soon).encode());
    let gone = message("gone", DeadlineMessage::new(spike_domain::EventId(987), 1).encode());
    publisher.forward(&[early, message("odd", b"?".to_vec()), gone]).await.unwrap();
    let letters = eventually("what is unreadable is kept", async || {
        Some(sale.letters().await).filter(|letters| !letters.is_empty())
    })
    .await;
    assert_eq!((letters.len(), letters[0].source.as_str()), (1, CANCEL));
    assert_eq!(sale.conservation().await.unwrap().L, 1, "not before its own deadline");
    sale.sql(&format!("UPDATE spike_orders SET expires_at_ms = {soon}"));
    cancelled(&sale, 1).await;
    assert!(lateness_ms(&sale) >= 0, "the early message was put off, not lost and not obeyed");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_messages_the_sweep_cancels_within_ten_seconds() {
    let sale = paid_within(8, &[("SPIKE_WORKER_SWEEP_INTERVAL_MS", "2000")]).await;
    let worker = sale.worker();
    let epoch = sale.until_open().await;
    sale.buy(epoch, 1..=3).await;
    sale.publish(&sale.outbox().await).await;
    eventually("the notice waits with the broker", async || {
        sale.queue("spike.delay.5s").filter(|&waiting| waiting > 0)
    })
    .await;
    let (_, vhost) = sale.amqp_url.rsplit_once('/').unwrap();
    fixture::rabbit().ctl(&["delete_queue", "-p", vhost, "spike.delay.5s"]).unwrap();
    cancelled(&sale, 3).await;
    let late = lateness_ms(&sale);
    assert!((0..10_000).contains(&late), "{late} ms after the deadline");
    worker.stop().await;
}
