//! The reserve script on a real Redis, by batch size, while stock lasts and when it is gone. Time is that of one call over
//! loopback; divide by the batch for the cost of a decision. Redis starts with the first of them that is asked for.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::cell::LazyCell;
use std::sync::atomic::{AtomicI64, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use redis::aio::MultiplexedConnection;
use spike_devstack::fixture;
use spike_domain::{Currency, EventDef, EventId, LedgerState, Money, OrderId, ProductId, UserId, Window};
use spike_stock::reserve::Buyer;
use spike_stock::{Ledger, Opening};

const EPOCH: u64 = 1_763_800_000_000;

fn reserve_script(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let redis = LazyCell::new(fixture::redis);
    let ledger = LazyCell::new(|| {
        let client = redis::Client::open(redis.url()).expect("its own URL");
        let connection = client.get_multiplexed_async_connection();
        Ledger::new(runtime.block_on(connection).expect("it is up"))
    });
    let next = AtomicI64::new(1);
    let mut group = c.benchmark_group("reserve script");
    for (name, event, stock) in [("selling", EventId(1), EventDef::TOTAL_MAX), ("sold out", EventId(2), 0)] {
        let opened = LazyCell::new(|| runtime.block_on(open(&ledger, event, stock)));
        for n in [1, 8, 32, 128] {
            group.throughput(Throughput::Elements(n));
            group.bench_function(BenchmarkId::new(name, n), |b| {
                LazyCell::force(&opened);
                b.iter(|| {
                    let buyers: Vec<Buyer> = (0..n).map(|_| buyer(&next)).collect();
                    runtime.block_on(ledger.reserve(event, EPOCH, 1, &buyers)).expect("an open ledger")
                });
            });
        }
    }
    group.finish();
}

fn buyer(next: &AtomicI64) -> Buyer {
    let user = UserId(next.fetch_add(1, Ordering::Relaxed));
    Buyer { user, order: OrderId::new(EPOCH), quantity: 1, key: None, trace: None }
}

async fn open(ledger: &Ledger<MultiplexedConnection>, event: EventId, stock: u32) {
    let def = EventDef {
        id: event,
        product_id: ProductId(1),
        name: "bench".into(),
        price: Money { minor: 1, currency: Currency::parse("EUR").expect("a currency") },
        total: stock,
        per_user_limit: 1,
        pay_timeout_s: 60,
        window: Window { starts_at_ms: 0, ends_at_ms: u64::MAX },
    };
    ledger.begin(event, EPOCH).await.expect("a new event");
    ledger.load(event, EPOCH, &[], &[]).await.expect("after begin");
    let stock = u64::from(stock);
    let opening = Opening { state: LedgerState::Open, stock, inflight: 0, cap: u64::MAX >> 12, def: &def };
    ledger.open(event, EPOCH, &opening).await.expect("after load");
    ledger.load_fenced(event, EPOCH).await.expect("after open");
}

criterion_group!(script, reserve_script);
criterion_main!(script);
