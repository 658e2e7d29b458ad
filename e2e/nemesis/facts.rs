//! An event at rest, read from the database itself and from Redis, as the checker takes it.

use loadtest::proof::{Attempt, Facts, LedgerFacts, Marker, Row};
use spike_domain::{AttemptId, AttemptStatus, EventId, OrderId, OrderStatus, UserId};
use spike_stock::Claim;

use super::arena::Arena;
use super::watch;
use crate::poll::until_within;

/// Longest wait for rest. Orders of a broker that was wiped at the end come again a minute later.
const REST: std::time::Duration = std::time::Duration::from_secs(240);

/// Waits until nothing of these events is under way: no order waits for its row, its deadline or its units, no payment for
/// its verdict.
pub fn wait_for_rest(arena: &Arena) {
    until_within(REST, "every event is at rest", || {
        let open = arena.sql(
            "SELECT (SELECT COUNT(*) FROM spike_orders WHERE status = 1) \
             + (SELECT COUNT(*) FROM restock_outbox WHERE done_at_ms IS NULL) \
             + (SELECT COUNT(*) FROM payment_attempts WHERE status = 1 OR untold = 1)",
        );
        (open.ok()? == "0").then_some(())?;
        arena.events.iter().all(|&event| quiet(arena, event) == Some(true)).then_some(())
    });
}

/// Everything that is known of an event.
pub fn read(arena: &Arena, event: EventId) -> Facts {
    let sql = |text: &str| arena.sql(text).expect("the database answers");
    let event_line = sql(&format!(
        "SELECT total, per_user_limit, reserved, paid, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) \
         FROM spike_events WHERE id = {event}"
    ));
    let of_event: Vec<i64> = event_line.split('\t').map(number).collect();
    Facts {
        total: of_event[0],
        per_user_limit: u32::try_from(of_event[1]).expect("a limit"),
        reserved: of_event[2],
        paid: of_event[3],
        rows: lines(&sql(&rows_of(event))).map(|line| row(&line)).collect(),
        markers: lines(&sql(&format!(
            "SELECT HEX(order_id), quantity, done_at_ms FROM restock_outbox WHERE event_id = {event}"
        )))
        .map(|line| marker(&line))
        .collect(),
        attempts: lines(&sql(&format!(
            "SELECT HEX(attempt_id), HEX(order_id), status FROM payment_attempts WHERE event_id = {event}"
        )))
        .map(|line| attempt(&line))
        .collect(),
        charges: lines(&sql(&format!(
            "SELECT HEX(s.attempt_id), s.captured FROM simulated_payments s \
             JOIN payment_attempts a ON a.attempt_id = s.attempt_id WHERE a.event_id = {event}"
        )))
        .map(|line| (AttemptId(order(line[0]).0), line[1] == "1"))
        .collect(),
        ledger: ledger(arena, event),
        read_at_ms: u64::try_from(of_event[4]).expect("a time"),
    }
}

fn rows_of(event: EventId) -> String {
    format!(
        "SELECT HEX(order_id), user_id, quantity, status, idem_key, accepted_at_ms, expires_at_ms, updated_at_ms \
         FROM spike_orders WHERE event_id = {event}"
    )
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.is_empty()).map(|line| line.split('\t').collect())
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.trim().parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
}

/// What may be NULL.
fn maybe(text: &str) -> Option<&str> {
    (text != "NULL").then_some(text)
}

fn order(hex: &str) -> OrderId {
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-").to_lowercase();
    OrderId::parse(&parts).unwrap_or_else(|| panic!("not an id: {hex}"))
}

fn row(line: &[&str]) -> Row {
    Row {
        order: order(line[0]),
        user: UserId(number(line[1])),
        quantity: number(line[2]),
        status: OrderStatus::from_code(number(line[3])).expect("a status"),
        key: maybe(line[4]).map(str::to_owned),
        accepted_at_ms: number(line[5]),
        expires_at_ms: number(line[6]),
        updated_at_ms: number(line[7]),
    }
}

fn marker(line: &[&str]) -> Marker {
    Marker { order: order(line[0]), quantity: number(line[1]), done_at_ms: maybe(line[2]).map(number) }
}

fn attempt(line: &[&str]) -> Attempt {
    let status = AttemptStatus::from_code(number(line[2])).expect("a status");
    Attempt { attempt: AttemptId(order(line[0]).0), order: order(line[1]), status }
}

fn ledger(arena: &Arena, event: EventId) -> LedgerFacts {
    arena.system.runtime.block_on(async {
        let client = redis::Client::open(arena.system.redis.url()).expect("a URL");
        let meta = arena.ledger.meta(event).await.expect("Redis answers").expect("a ledger");
        let units = |units: Option<u64>| i64::try_from(units.expect("a figure")).expect("a stock");
        let entries =
            arena.ledger.entries(event, None, 1000).await.expect("Redis answers").entries.len() as u64;
        let claims = watch::claims(&client, event).await.expect("Redis answers").into_iter();
        let claims = claims.map(|(user, claim)| {
            let claim = Claim::parse(&claim).expect("a claim");
            (UserId(number(&user)), claim.order, claim.quantity)
        });
        LedgerFacts {
            stock: units(meta.stock),
            inflight: units(meta.inflight),
            entries,
            claims: claims.collect(),
        }
    })
}

fn quiet(arena: &Arena, event: EventId) -> Option<bool> {
    arena.system.runtime.block_on(async {
        let row = arena.system.store.event(event).await.ok()??;
        let meta = arena.ledger.meta(event).await.ok()??;
        let entries = arena.ledger.entries(event, None, 1).await.ok()?.entries;
        let fence = arena.ledger.fence_open_now(event).await.ok()?;
        Some(fence && meta.epoch == row.epoch && meta.inflight == Some(0) && entries.is_empty())
    })
}
