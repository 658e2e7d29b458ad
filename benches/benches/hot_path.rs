//! What a hot core does before it asks the ledger: buckets, flag, route, and the ledger call's bytes.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spike_domain::{EventId, OrderId, UserId};
use spike_gateway::hot::route::route;
use spike_gateway::local::gcra::mix;
use spike_gateway::local::{Gcra, GcraTable, Quota, SoldOutFlag};
use spike_gateway::redis::resp::Reader;
use spike_stock::reserve::{Buyer, decode, encode};
use spike_stock::{EventKeys, scripts};

fn buckets(c: &mut Criterion) {
    let (open, shut) = (Quota::new(1_000_000_000, 1_000_000_000), Quota::every_ms(1_000_000));
    let now = AtomicU64::new(1);
    let tick = || now.fetch_add(10, Ordering::Relaxed);
    let bucket = Gcra::default();
    c.bench_function("buckets/one, allow", |b| b.iter(|| bucket.take(open, tick())));
    let empty = Gcra::default();
    empty.take(shut, 0).expect("the first passes");
    c.bench_function("buckets/one, deny", |b| b.iter(|| empty.take(shut, 1)));
    let table = GcraTable::new(1 << 20);
    c.bench_function("buckets/table of 100,000 users, allow", |b| {
        b.iter(|| table.take(mix(tick() % 100_000, 1), open, tick()));
    });
    let map: dashmap::DashMap<u64, Gcra> = (0..100_000).map(|user| (user, Gcra::default())).collect();
    c.bench_function("buckets/dashmap of 100,000 users, allow", |b| {
        b.iter(|| map.get(&(tick() % 100_000)).map(|bucket| bucket.take(open, tick())));
    });
}

fn flag(c: &mut Criterion) {
    let flag = SoldOutFlag::new(500);
    c.bench_function("flag/selling", |b| b.iter(|| flag.ask(black_box(5))));
    flag.set(1, 10);
    c.bench_function("flag/sold out", |b| b.iter(|| flag.ask(black_box(11))));
}

fn routes(c: &mut Criterion) {
    let status = format!("/api/v1/spike/events/42/orders/{}", OrderId::new(1));
    for (name, method, path) in [
        ("route/buy", http::Method::POST, "/api/v1/spike/events/42/orders"),
        ("route/status", http::Method::GET, status.as_str()),
        ("route/cold", http::Method::GET, "/api/v1/products"),
    ] {
        c.bench_function(name, |b| b.iter(|| route(black_box(&method), black_box(path))));
    }
}

fn reserve_codec(c: &mut Criterion) {
    let (keys, sha) = (EventKeys::new(EventId(42)), scripts::reserve(EventId(42), 1).sha);
    let mut group = c.benchmark_group("reserve codec");
    for n in [1, 8, 32, 128] {
        let buyers: Vec<Buyer> = (1..=n)
            .map(|user| Buyer {
                user: UserId(user),
                order: OrderId::new(1),
                quantity: 1,
                key: None,
                trace: None,
            })
            .collect();
        group.throughput(Throughput::Elements(n.cast_unsigned()));
        let mut out = Vec::new();
        group.bench_with_input(BenchmarkId::new("encode", n), &buyers, |b, buyers| {
            b.iter(|| {
                out.clear();
                encode(&mut out, &sha, &keys, 1, 2, buyers);
                black_box(out.len())
            });
        });
        let count = usize::try_from(n).expect("small");
        let reply =
            format!("*{}\r\n$2\r\nOK\r\n$1\r\n1\r\n$3\r\n500\r\n{}", n + 3, "$1\r\nA\r\n".repeat(count));
        group.bench_with_input(BenchmarkId::new("read reply", n), &reply, |b, reply| {
            let mut reader = Reader::default();
            b.iter(|| {
                reader.push(reply.as_bytes());
                reader.next_reply()
            });
        });
        let words: Vec<Vec<u8>> = [&b"OK"[..], b"1", b"500"]
            .iter()
            .map(|word| word.to_vec())
            .chain(std::iter::repeat_n(b"A".to_vec(), count))
            .collect();
        group.bench_with_input(BenchmarkId::new("decode", n), &words, |b, words| {
            b.iter(|| decode(words.iter().map(Vec::as_slice), count));
        });
    }
    group.finish();
}

criterion_group!(hot_path, buckets, flag, routes, reserve_codec);
criterion_main!(hot_path);
