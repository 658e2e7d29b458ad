//! A worker beside one of another version: each opens the fence of its own scripts, and neither closes the other's.

use spike_domain::clock::now_ms;
use spike_domain::{EventId, LedgerState};
use spike_stock::{Opening, Stock, StockError, scripts};

use crate::sale::{Sale, eventually};

/// What a worker of another version leaves behind: a standing ledger of a new epoch, and scripts of other texts; a version
/// that knows of it leaves the mark of a comparison too.
async fn opened_by_another(sale: &Sale, marks: bool) -> (u64, Vec<String>) {
    let ledger: Stock = sale.ledger.for_rebuild(sale.event).await.unwrap();
    let held = ledger.meta(sale.event).await.unwrap().map_or(0, |meta| meta.epoch);
    let epoch = sale.store.bump_epoch(sale.event, held + 1, now_ms()).await.unwrap();
    let def = sale.store.event(sale.event).await.unwrap().unwrap().def;
    ledger.begin(sale.event, epoch).await.unwrap();
    ledger.load(sale.event, epoch, &[], &[]).await.unwrap();
    let stock = u64::from(def.total);
    let opening = Opening { state: LedgerState::Open, stock, inflight: 0, cap: 1000, def: &def };
    ledger.open(sale.event, epoch, &opening).await.unwrap();
    let load = |text: String| sale.redis.command(&["SCRIPT", "LOAD", &text]).unwrap().trim().to_owned();
    if marks {
        load(scripts::fence(sale.event, epoch).text);
    }
    (epoch, other_texts(sale.event, epoch).map(load).to_vec())
}

fn other_texts(event: EventId, epoch: u64) -> [String; 2] {
    [scripts::adopt(event, epoch), scripts::reserve(event, epoch)]
        .map(|script| format!("{}-- another version\n", script.text))
}

fn still_loaded(sale: &Sale, shas: &[String]) {
    for sha in shas {
        // Without keys it is an error of the script's, or NOSCRIPT.
        let error = sale.redis.command(&["EVALSHA", sha, "0"]).expect_err("no keys");
        assert!(!format!("{error:#}").contains("NOSCRIPT"), "the other version's gateways go on: {error:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_worker_joins_a_fence_that_another_version_has_opened() {
    let sale = Sale::of(5).await;
    let (theirs, shas) = opened_by_another(&sale, true).await;
    assert!(matches!(sale.press(theirs, 1).await, Err(StockError::Fenced)), "our gateways are closed");

    let worker = sale.worker();
    let ours = sale.until_open().await;
    assert_eq!(ours, theirs, "without a rebuild: the other version's gateways are not closed for a moment");
    let orders = sale.buy(ours, 1..=2).await;
    sale.publish(&sale.outbox().await).await;
    sale.until_at_rest_with(2).await;
    assert_eq!(orders.len(), 2);
    still_loaded(&sale, &shas);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mark_of_an_earlier_epoch_opens_nothing() {
    let sale = Sale::of(5).await;
    let (earlier, _) = opened_by_another(&sale, true).await;
    let (later, _) = opened_by_another(&sale, false).await;
    assert!(!sale.ledger.join_fence(sale.event, later).await.unwrap(), "nobody says that it was compared");
    assert!(!sale.ledger.join_fence(sale.event, earlier).await.unwrap(), "it is not the ledger's epoch");
    assert!(matches!(sale.press(later, 1).await, Err(StockError::Fenced)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_worker_rebuilds_once_where_a_version_without_marks_has_opened() {
    let sale = Sale::of(5).await;
    let (theirs, shas) = opened_by_another(&sale, false).await;
    assert!(matches!(sale.press(theirs, 1).await, Err(StockError::Fenced)), "our gateways are closed");

    let worker = sale.worker();
    let ours = sale.until_open().await;
    assert!(ours > theirs, "by a rebuild, which compares the ledger with the database");

    // A second one of ours finds nothing to do: versions do not take the ledger from each other in turn.
    let second = sale.worker();
    let since = std::time::Instant::now();
    eventually("a second of looks has passed", async || (since.elapsed().as_secs() >= 1).then_some(())).await;
    let meta = sale.ledger.meta(sale.event).await.unwrap().unwrap();
    assert_eq!((meta.epoch, meta.state), (ours, LedgerState::Open), "not rebuilt again");
    still_loaded(&sale, &shas);
    second.stop().await;
    worker.stop().await;
}
