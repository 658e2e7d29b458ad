//! What counting costs a hot core: the pen of one thread, against atomic additions that any thread may make.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use spike_metrics::catalogue::gateway::{REQUEST_DURATION, REQUESTS};
use spike_metrics::words::{HotRoute, LedgerCall, Outcome};
use spike_metrics::{Counter, Counters, Counts, Page, Spreads};

fn counting(c: &mut Criterion) {
    let counters = Counters::new(1);
    let pen = counters.of_core(0);
    c.bench_function("metrics/count", |b| b.iter(|| pen.count(black_box(Counter::SoldOut), 1)));
    c.bench_function("metrics/count, any thread", |b| {
        b.iter(|| counters.add(black_box(Counter::SoldOut), 1));
    });
    let mut ns = 0_u64;
    let mut next = || {
        ns = ns.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ns >> 44
    };
    c.bench_function("metrics/request: route, outcome, latency", |b| {
        b.iter(|| pen.request(black_box(HotRoute::Buy), black_box(Outcome::SoldOut), next()));
    });
    c.bench_function("metrics/reserve call: batch and latency", |b| {
        b.iter(|| {
            pen.reserve_call(black_box(17));
            pen.ledger_call(LedgerCall::Reserve, next());
        });
    });
    let (requests, durations) = (Counts::new(&REQUESTS), Spreads::new(&REQUEST_DURATION));
    c.bench_function("metrics/request, any thread", |b| {
        b.iter(|| {
            requests.add_at(black_box(4), 1);
            durations.observe_at(black_box(0), next());
        });
    });
    c.bench_function("metrics/whether a press is sampled", |b| b.iter(|| pen.samples_press()));
    c.bench_function("metrics/a reading of the clock", |b| b.iter(Instant::now));
}

fn off(c: &mut Criterion) {
    let counters = Counters::new(1).measuring(false);
    let pen = counters.of_core(0);
    c.bench_function("metrics/request, switched off", |b| {
        b.iter(|| pen.request(black_box(HotRoute::Buy), black_box(Outcome::SoldOut), black_box(7)));
    });
}

fn scrape(c: &mut Criterion) {
    let counters = Counters::new(8);
    c.bench_function("metrics/scrape of eight cores", |b| {
        b.iter(|| {
            let mut page = Page::default();
            counters.write(&mut page);
            page.into_text()
        });
    });
}

criterion_group!(metrics, counting, off, scrape);
criterion_main!(metrics);
