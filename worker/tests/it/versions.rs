//! A worker beside one of another version: each opens the fence of its own scripts, and neither closes the other's.

use spike_domain::clock::now_ms;
use spike_domain::{EventId, LedgerState};
use spike_stock::{Opening, Stock, StockError, scripts};

use crate::sale::{Sale, eventually};

/// What a worker of another version leaves behind: a standing ledger of a new epoch, and scripts of other texts.
async fn opened_by_another(sale: &Sale) -> (u64, Vec<String>) {
    let ledger: Stock = sale.ledger.for_rebuild().await.unwrap();
    let held = ledger.meta(sale.event).await.unwrap().map_or(0, |meta| meta.epoch);
    let epoch = sale.store.bump_epoch(sale.event, held + 1, now_ms()).await.unwrap();
    let def = sale.store.event(sale.event).await.unwrap().unwrap().def;
    ledger.begin(sale.event, epoch).await.unwrap();
    ledger.load(sale.event, epoch, &[], &[]).await.unwrap();
    let stock = u64::from(def.total);
    let opening = Opening { state: LedgerState::Open, stock, inflight: 0, cap: 1000, def: &def };
    ledger.open(sale.event, epoch, &opening).await.unwrap();
    let load = |text: String| sale.redis.command(&["SCRIPT", "LOAD", &text]).unwrap().trim().to_owned();
    (epoch, other_texts(sale.event).map(load).to_vec())
}

fn other_texts(event: EventId) -> [String; 2] {
    [scripts::adopt(event), scripts::reserve(event)]
        .map(|script| format!("{}-- another version\n", script.text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_worker_opens_its_fence_once_and_leaves_the_other_open() {
    let sale = Sale::of(5).await;
    let (theirs, shas) = opened_by_another(&sale).await;
    assert!(matches!(sale.press(theirs, 1).await, Err(StockError::Fenced)), "our gateways are closed");

    let worker = sale.worker();
    let ours = sale.until_open().await;
    assert!(ours > theirs, "by a rebuild, which compares the ledger with the database");
    let orders = sale.buy(ours, 1..=2).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(2).await;
    assert_eq!(orders.len(), 2);

    // A second one of ours finds nothing to do: versions do not take the ledger from each other in turn.
    let second = sale.worker();
    let since = std::time::Instant::now();
    eventually("a second of looks has passed", async || (since.elapsed().as_secs() >= 1).then_some(())).await;
    let meta = sale.ledger.meta(sale.event).await.unwrap().unwrap();
    assert_eq!((meta.epoch, meta.state), (ours, LedgerState::Open), "not rebuilt again");
    for sha in &shas {
        // Without keys it is an error of the script's, or NOSCRIPT.
        let error = sale.redis.command(&["EVALSHA", sha, "0"]).expect_err("no keys");
        assert!(!format!("{error:#}").contains("NOSCRIPT"), "the other version's gateways go on: {error:#}");
    }
    second.stop().await;
    worker.stop().await;
}
