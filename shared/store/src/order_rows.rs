//! Writing rows of `spike_orders`, `restock_outbox` and the event's counter, many at once, under the event's
//! lock.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::backend::Conn;
use crate::dialect::Dialect;
use crate::query::query;
use crate::sql::{
    CHUNK, at, number_list, order_at, order_list, push_hex, rows_of_text, run_text, signed, status_at,
};
use crate::transaction::LockedEvent;
use crate::{Result, StoreError};
use spike_domain::{OrderId, OrderStatus, QueuedOrder, UserId};

/// Longest key hash, in characters.
const KEY_MAX: usize = 64;

/// A row to write: an order, and the status it starts with.
pub(crate) type NewRow<'a> = (&'a QueuedOrder, OrderStatus);

/// Inserts rows and counts the live ones in the event's `reserved`. Fails as sqlx does, so that the caller
/// can tell a duplicate key from the rest; of a failed call some rows may be there until the caller rolls
/// back.
pub(crate) async fn insert_rows(
    tx: &mut Conn,
    locked: &LockedEvent,
    rows: &[NewRow<'_>],
) -> Result<(), sqlx::Error> {
    let units: u64 =
        rows.iter().filter(|(_, status)| status.live()).map(|(order, _)| u64::from(order.quantity)).sum();
    let mut chunks = rows.chunks(CHUNK).peekable();
    while let Some(chunk) = chunks.next() {
        // The servers differ in what they do with bytes that an ASCII column cannot hold.
        if let Some((order, _)) = chunk.iter().find(|(order, _)| !key_fits(order)) {
            return Err(sqlx::Error::Encode(format!("order {}: its key is no hash", order.order).into()));
        }
        let mut text = insert_text(tx.dialect(), locked, chunk);
        let mut expected = chunk.len() as u64;
        // The counter travels with the last rows: one round trip less.
        if chunks.peek().is_none() && units > 0 {
            let event = locked.id();
            write!(
                text,
                "; UPDATE spike_events SET reserved = reserved + {units} \
                 WHERE id = {event} AND reserved + {units} <= total - returned"
            )
            .expect("writing to a String cannot fail");
            expected += 1;
        }
        let written = run_text(tx, text).await?;
        if written != expected {
            // The plan was made under the lock that is still held.
            let what = format!("event {}: wrote {written} of {expected} rows", locked.id());
            return Err(sqlx::Error::Decode(what.into()));
        }
    }
    Ok(())
}

/// Until when orders written now may be paid.
pub(crate) fn expires_at_ms(locked: &LockedEvent) -> u64 {
    locked.now_ms + u64::from(locked.row.def.pay_timeout_s) * 1000
}

/// Leaves a restock marker for each order.
pub(crate) async fn insert_markers(
    tx: &mut Conn,
    locked: &LockedEvent,
    orders: &[(OrderId, UserId, u32)],
) -> Result<()> {
    for chunk in orders.chunks(CHUNK) {
        let mut text = String::with_capacity(110 + chunk.len() * 100);
        text.push_str(
            "INSERT INTO restock_outbox (order_id, event_id, user_id, quantity, created_at_ms) VALUES ",
        );
        for (at, (order, user, quantity)) in chunk.iter().enumerate() {
            text.push_str(if at == 0 { "(" } else { ",(" });
            push_hex(&mut text, order.bytes());
            write!(text, ",{},{user},{quantity},{})", locked.id(), locked.now_ms)
                .expect("writing to a String cannot fail");
        }
        run_text(tx, text).await?;
    }
    Ok(())
}

/// Those of `orders` that have a row, of whatever event, with its status.
pub(crate) async fn existing(tx: &mut Conn, orders: &[OrderId]) -> Result<HashMap<OrderId, OrderStatus>> {
    let mut found = HashMap::with_capacity(orders.len());
    for chunk in orders.chunks(CHUNK) {
        let ids = order_list(chunk);
        let text = format!("SELECT order_id, status FROM spike_orders WHERE order_id IN ({ids})");
        for row in rows_of_text(tx, text).await? {
            found.insert(order_at(&row, "order_id")?, status_at(&row, "status")?);
        }
    }
    Ok(found)
}

/// Those of `users` who hold a live order in the event.
pub(crate) async fn live_users(
    tx: &mut Conn,
    locked: &LockedEvent,
    users: &[UserId],
) -> Result<HashSet<UserId>> {
    let mut found = HashSet::new();
    for chunk in users.chunks(CHUNK) {
        let ids = number_list(chunk.iter().map(|user| user.0));
        let text = format!(
            "SELECT live_user FROM spike_orders WHERE event_id = {} AND live_user IN ({ids})",
            locked.id()
        );
        for row in rows_of_text(tx, text).await? {
            found.insert(UserId(at(&row, "live_user")?));
        }
    }
    Ok(found)
}

/// Takes units of dead orders off the event's counter.
pub(crate) async fn give_back(tx: &mut Conn, locked: &LockedEvent, units: u64) -> Result<()> {
    let event = locked.id();
    let text = format!(
        "UPDATE spike_events SET reserved = reserved - {units} WHERE id = {event} AND reserved >= {units}"
    );
    match run_text(tx, text).await? {
        1 => Ok(()),
        _ => Err(StoreError::corrupt(format!(
            "event {event} holds fewer units than the {units} its orders give back"
        ))),
    }
}

/// Counts an order of the locked event that has just been paid.
pub(crate) async fn count_paid(tx: &mut Conn, order: OrderId) -> Result<()> {
    let text = "UPDATE spike_events SET paid = paid + (SELECT quantity FROM spike_orders WHERE order_id = ?) \
         WHERE id = (SELECT event_id FROM spike_orders WHERE order_id = ?)";
    query(text).bind(&order.bytes()[..]).bind(&order.bytes()[..]).execute(tx).await?;
    Ok(())
}

/// Whether the column `idem_key` can hold the order's key.
pub(crate) fn key_fits(order: &QueuedOrder) -> bool {
    order.key.as_ref().is_none_or(|key| key.is_ascii() && key.len() <= KEY_MAX)
}

/// One INSERT of `rows`, which are at most [`CHUNK`].
fn insert_text(dialect: Dialect, locked: &LockedEvent, rows: &[NewRow<'_>]) -> String {
    let def = &locked.row.def;
    let (event, price, epoch, now) = (def.id, def.price.minor, locked.row.epoch, locked.now_ms);
    let expires = expires_at_ms(locked);
    let mut currency = String::new();
    dialect.push_text(&mut currency, def.price.currency.as_str());

    let mut text = String::with_capacity(220 + rows.len() * 260);
    text.push_str(
        "INSERT INTO spike_orders (order_id, event_id, user_id, quantity, price_minor, amount_minor, currency, status, \
         idem_key, epoch, accepted_at_ms, created_at_ms, expires_at_ms, updated_at_ms) VALUES ",
    );
    for (at, (order, status)) in rows.iter().enumerate() {
        text.push_str(if at == 0 { "(" } else { ",(" });
        push_hex(&mut text, order.order.bytes());
        let (user, quantity, status) = (order.user, order.quantity, status.code());
        let amount = price.saturating_mul(i64::from(quantity));
        write!(text, ",{event},{user},{quantity},{price},{amount},{currency},{status},")
            .expect("writing to a String cannot fail");
        match &order.key {
            Some(key) => dialect.push_text(&mut text, key),
            None => text.push_str("NULL"),
        }
        let accepted = signed(order.accepted_at_ms);
        write!(text, ",{epoch},{accepted},{now},{expires},{now})").expect("writing to a String cannot fail");
    }
    text
}
