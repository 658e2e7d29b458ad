//! What waiting costs: memory of idle connections in the gateway, of buyers in Redis, and of the bucket tables.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::http::{Connection, Request};
use loadtest::loopback_sources;
use spike_domain::clock::now_ms;
use spike_domain::{EventId, OrderId, UserId};
use spike_stock::reserve::{Buyer, Decision};

use super::say;
use crate::contender::{self, Contender, Who};
use crate::cpu::{Pids, anonymous_bytes};
use crate::load;
use crate::ring::Ring;
use crate::table::{Better, Row};

const IDLE: usize = 15_000;
/// A loopback address has some 28,000 ports to leave from; two thousand each leaves room for others.
const PER_SOURCE: usize = 2_000;
const BUYERS: i64 = 1_000_000;
/// The longest until all of them rest.
const REST: Duration = Duration::from_secs(20);
/// Buyers a reserve call.
const CALL: i64 = 250;

/// Measures the row.
///
/// # Errors
/// When the gateway refuses a connection, or Redis a buyer.
pub async fn measure(ring: &Ring) -> anyhow::Result<Row> {
    let event = ring.sales(1, 2_000_000).await?[0];
    let gateway = contender::start(ring, Who::Spike, event, None).await?;
    // The first buyers touch what is made once: the token cache, the tables, the pools.
    load::press(ring, &gateway, event, 2_000, 64, &Pids::new()).await?;
    let before = anonymous_bytes(gateway.process.pid())?;
    let idle = connections(ring, &gateway, event).await?;
    let after = rested(ring, gateway.process.pid()).await?;
    let open = ring.metric("spike_gateway_connections_open").await?;
    ensure!(open >= IDLE as f64, "only {open} of {IDLE} connections are open");
    drop(idle);
    gateway.process.leave().await;
    ensure!(after > before, "{IDLE} connections cost nothing: {before} bytes before, {after} after");
    let kib = (after - before) as f64 / IDLE as f64 / 1024.0;
    say(&format!("{IDLE} idle connections: {kib:.2} KiB each"));
    let a_buyer = buyers_in_redis(ring, event).await?;
    let slots = ring.config.limits.table_slots;
    let tables = 3 * 16 * slots / (1 << 20);
    Ok(Row {
        name: "memory of an idle keep-alive connection in the gateway, 15,000 of them",
        figure: kib,
        unit: " KiB",
        target: 12.0,
        moonshot: 4.0,
        better: Better::Less,
        rounds: vec![kib],
        beside: vec![
            format!(
                "{BUYERS} buyers of a sale in Redis, unsettled: {a_buyer:.0} bytes each (claim, order, outbox entry)"
            ),
            format!("three bucket tables of {slots} slots: {tables} MiB reserved, paged in as buyers come"),
        ],
    })
}

/// Connections that have asked once and wait.
async fn connections(ring: &Ring, gateway: &Contender, event: EventId) -> anyhow::Result<Vec<Connection>> {
    let files = loadtest::open_files::raise()?;
    ensure!(files > IDLE as u64 + 200, "only {files} files may be open (ulimit -n)");
    let path = format!("/api/v1/spike/events/{event}");
    let request = Request::new("GET", &path, &ring.base().to_string(), &[], None);
    let sources: Vec<Ipv4Addr> = loopback_sources(IDLE.div_ceil(PER_SOURCE)).collect();
    let mut idle = Vec::with_capacity(IDLE);
    for at in 0..IDLE {
        let mut connection =
            Connection::new(gateway.at, Some(sources[at / PER_SOURCE]), Duration::from_secs(10));
        let status = connection.send(&request).await?.status;
        ensure!(status == 200, "connection {at} was answered {status}");
        idle.push(connection);
    }
    Ok(idle)
}

/// What the gateway holds once all connections rest: they give the parser's buffers back after a second, and the allocator gives
/// its pages back some time later.
async fn rested(ring: &Ring, pid: u32) -> anyhow::Result<u64> {
    let started = std::time::Instant::now();
    let mut held = u64::MAX;
    loop {
        ensure!(started.elapsed() < REST, "the gateway has not come to rest within {REST:?}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = anonymous_bytes(pid)?;
        if ring.metric("spike_gateway_connections_at_parser").await? == 0.0 && now > held / 100 * 99 {
            return Ok(now);
        }
        held = now;
    }
}

/// Bytes of Redis' memory that a buyer takes.
async fn buyers_in_redis(ring: &Ring, event: EventId) -> anyhow::Result<f64> {
    let ledger = ring.ledger().await?;
    let epoch = ledger.meta(event).await?.context("the event has no ledger")?.epoch;
    let (before, now) = (used_memory(ring)?, now_ms());
    for first in (0..BUYERS).step_by(usize::try_from(CALL)?) {
        let buyer = |user| Buyer {
            user: UserId(50_000_000 + user),
            order: OrderId::new(now),
            quantity: 1,
            key: None,
        };
        let buyers: Vec<Buyer> = (first..first + CALL).map(buyer).collect();
        let decided = ledger.reserve(event, epoch, now, &buyers).await?;
        ensure!(
            decided.decisions.iter().all(|one| *one == Decision::Accepted),
            "not every buyer was accepted"
        );
    }
    let bytes = (used_memory(ring)? - before) / BUYERS as f64;
    say(&format!("{BUYERS} buyers in Redis: {bytes:.0} bytes each"));
    Ok(bytes)
}

fn used_memory(ring: &Ring) -> anyhow::Result<f64> {
    let info = ring.stack.redis.command(&["INFO", "memory"])?;
    let bytes = info.lines().find_map(|line| line.trim().strip_prefix("used_memory:"));
    Ok(bytes.context("INFO without used_memory")?.trim().parse()?)
}
