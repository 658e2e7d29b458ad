//! The read cache: one query for many, seen everywhere after a change, and nobody's trouble without Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use serde_json::{Value, json};
use spike_config::{CacheConfig, Config};
use spike_devstack::fixture;
use spike_domain::{ProductId, Role};
use spike_gateway::control::{Cache, Key, Loaded, Topic};
use spike_stock::Stock;
use spike_stock::stock::Timeouts;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::Api;
use super::shop::Shop;

/// A database that counts how often it is asked, and answers with that number once it is let.
#[derive(Clone)]
struct Source {
    reads: Arc<AtomicU32>,
    permits: Arc<Semaphore>,
}

impl Source {
    fn open() -> Self {
        Self { reads: Arc::default(), permits: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) }
    }

    fn shut() -> Self {
        Self { reads: Arc::default(), permits: Arc::new(Semaphore::new(0)) }
    }

    fn reads(&self) -> u32 {
        self.reads.load(Ordering::SeqCst)
    }

    /// What `cache` shows of product 7.
    async fn through(&self, cache: &Arc<Cache>) -> String {
        let source = self.clone();
        let load = move || async move {
            let number = source.reads.fetch_add(1, Ordering::SeqCst) + 1;
            source.permits.acquire().await.expect("never closed").forget();
            Ok(Loaded { data: Some(json!(number)), tag: Some(format!("\"{number}\"")) })
        };
        cache.read(Key::product(SEVEN), load).await.unwrap().json.to_string()
    }
}

const SEVEN: ProductId = ProductId(7);
const CHANGE: [Topic; 1] = [Topic::Product(SEVEN)];

fn config(local_ms: u64, stale_ms: u64) -> CacheConfig {
    let config = Config::load(None, []).unwrap().cache;
    CacheConfig { local_ms, stale_ms, timeout_ms: 2000, ..config }
}

fn ledger(url: &str) -> Stock {
    Stock::redis(url, Timeouts::default()).unwrap()
}

/// Polls until `done` says so.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done().await {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miss_of_many_is_one_read_even_when_the_first_has_left() {
    // Without Redis, whose follower begins with a clean slate whenever it gets round to it.
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(&config(60_000, 0), &Stock::embedded(folder.path()).unwrap());
    let source = Source::shut();
    let first = tokio::spawn({
        let (source, cache) = (source.clone(), cache.clone());
        async move { source.through(&cache).await }
    });
    until("the first read", async || source.reads() == 1).await;
    first.abort();
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (source, cache) = (source.clone(), cache.clone());
        others.spawn(async move { source.through(&cache).await });
    }
    source.permits.add_permits(1);
    let shown = tokio::time::timeout(Duration::from_secs(20), others.join_all()).await;
    assert!(shown.expect("everybody is answered").iter().all(|shown| shown == "1"));
    assert_eq!(source.reads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_once_is_read_by_no_other_gateway_until_it_changes() {
    let redis = fixture::redis();
    // So long that nothing but a message ends it.
    let caches = [0, 1].map(|_| Cache::new(&config(60_000, 0), &ledger(&redis.url())));
    let source = Source::open();
    source.through(&caches[0]).await;
    until("the other finds it in Redis", async || {
        let fresh = Cache::new(&config(60_000, 0), &ledger(&redis.url()));
        let before = source.reads();
        source.through(&fresh).await;
        source.reads() == before
    })
    .await;
    let reads = source.reads();
    source.through(&caches[1]).await;
    assert_eq!(source.reads(), reads, "it was in Redis");

    for round in 0..5 {
        let changer = round % 2;
        caches[changer].changed(&CHANGE).await;
        let shown = source.through(&caches[changer]).await;
        assert_eq!(shown, source.reads().to_string(), "the changer sees its own change at once");
        until("the other hears of it", async || {
            source.through(&caches[1 - changer]).await == source.reads().to_string()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_does_not_bring_back_what_was_before_a_change() {
    let redis = fixture::redis();
    let [slow, changer] = [0, 1].map(|_| Cache::new(&config(60_000, 0), &ledger(&redis.url())));
    let source = Source::shut();
    let reading = tokio::spawn({
        let (source, cache) = (source.clone(), slow.clone());
        async move { source.through(&cache).await }
    });
    until("the slow read", async || source.reads() == 1).await;
    changer.changed(&CHANGE).await;
    slow.changed(&CHANGE).await;
    source.permits.add_permits(1000);
    assert_eq!(reading.await.unwrap(), "1", "it asked before the change");
    assert_eq!(source.through(&slow).await, "2", "who asks after the change is not shown it");
    assert_ne!(source.through(&changer).await, "1", "nor by Redis");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stale_is_shown_while_one_reads_it_anew() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Stock::embedded(folder.path()).unwrap();
    let cache = Cache::new(&config(0, 60_000), &embedded);
    let source = Source::shut();
    source.permits.add_permits(1);
    assert_eq!(source.through(&cache).await, "1");
    for _ in 0..20 {
        assert_eq!(source.through(&cache).await, "1", "nobody waits");
    }
    until("a second read", async || source.reads() == 2).await;
    source.permits.add_permits(1);
    until("the new value", async || source.through(&cache).await == "2").await;
    cache.changed(&CHANGE).await;
    source.permits.add_permits(1000);
    assert_ne!(source.through(&cache).await, "2", "after a change stale is not shown");
    let mut page = spike_metrics::Page::default();
    cache.counts().write(&mut page);
    let counts = page.into_text();
    for line in
        ["cache_stale_total ", "cache_misses_total 2", "cache_hits_total 0", "cache_shared_hits_total 0"]
    {
        assert!(counts.contains(&format!("\nspike_gateway_{line}")), "{line}\n{counts}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_every_read_and_change_goes_on() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let price = json!({ "minor": 1, "currency": "EUR" });
    let body = json!({ "sku": "LAMP", "name": "Lamp", "price": price });
    let made = api.post("/products", Some(&admin), &body).await;
    let path = format!("/products/{}", made.data()["id"]);
    assert_eq!(api.get(&path, None).await.data()["name"], "Lamp");
    api.redis.kill9();
    for version in 1..4 {
        let begun = Instant::now();
        let name = json!({ "name": format!("Lamp {version}") });
        let tag = format!("\"{version}\"");
        let changed = api.with(("PATCH", &path), Some(&admin), ("if-match", &tag), Some(&name)).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
        assert_eq!(api.get(&path, None).await.data()["name"], name["name"]);
        assert_eq!(api.get("/products", None).await.data()["items"][0]["name"], name["name"]);
        assert_eq!(api.get("/spike/events", None).await.status, 200);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_show_the_same_catalogue() {
    let api = Api::start().await;
    let other = api.beside();
    let (_, admin) = api.account("admin", Role::Admin).await;
    let list = async |router: &Router| {
        let request = Api::request("GET", "/products", None).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["data"]["total"].as_u64().unwrap()
    };
    for number in 1..=3 {
        let body = json!({ "sku": format!("S{number}"), "name": "Lamp", "price": { "minor": 1, "currency": "EUR" } });
        api.post("/products", Some(&admin), &body).await.data();
        let here = api.get("/products", None).await;
        assert_eq!(here.data()["total"], number, "who changed it sees it at once");
        assert_eq!(here.headers["cache-control"], "public, max-age=1");
        until("the other gateway shows it", async || list(&other).await == number).await;
    }
    let page = api.get("/products", None).await;
    let tag = page.headers["etag"].to_str().unwrap();
    assert_eq!(api.with(("GET", "/products"), None, ("if-none-match", tag), None).await.status, 304);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inventories_are_read_once_and_every_gateway_sees_an_order_at_once() {
    let shop = Shop::open_with(&[("SPIKE_CACHE_LOCAL_MS", "60000")]).await;
    let path = format!("/products/{}/inventory", shop.products[0]);
    let available = async || shop.api.get(&path, None).await.data()["available"].clone();
    // What tells nobody, a worker say, is seen when the time is over: a minute in this test.
    let mut units = 20;
    until("a change that nobody tells of is not seen", async || {
        units += 2;
        shop.api.sql(&format!("UPDATE inventory SET available = {units}"));
        let before = available().await;
        shop.api.sql(&format!("UPDATE inventory SET available = {}", units + 1));
        before == available().await
    })
    .await;
    shop.api.sql("UPDATE inventory SET available = 10");
    let order = shop.order([3, 0]).await;
    assert_eq!(available().await, 7, "after an order");
    shop.press(&format!("/orders/{order}/cancel"), "c", &json!({})).await;
    assert_eq!(available().await, 10, "after its cancellation");
    let order = shop.order([2, 0]).await;
    assert_eq!(shop.pay(order, "p", "success").await.status, 200);
    assert_eq!(shop.api.get(&path, None).await.data()["sold"], 2);
    // Another gateway, that has read them before.
    let beside = shop.api.beside();
    let seen = async || {
        let request = Api::request("GET", &path, None).body(Body::empty()).unwrap();
        let answer = beside.clone().oneshot(request).await.unwrap();
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["data"]["available"].clone()
    };
    assert_eq!(seen().await, 8);
    shop.order([1, 0]).await;
    until("the other gateway hears of it", async || seen().await == 7).await;
}
