//! Visiting every row of an event, a page at a time: a million rows never stand in memory twice, and no statement runs long.

use spike_domain::EventId;
use sqlx::MySqlConnection;
use sqlx::mysql::MySqlRow;

use crate::Result;
use crate::sql::{at, order_at, push_hex, rows_of_text};

/// Rows a page.
const PAGE: usize = 10_000;

/// Calls `visit` with `columns` of every row of the event. Pages follow the unique index (event, live user), whose entries end
/// in the order's id: first the live rows by user, then the dead ones, whose `live_user` is NULL, by order. Rows that change
/// between pages may be missed or seen twice, unless the caller holds the event's lock.
pub(crate) async fn for_every_row(
    conn: &mut MySqlConnection,
    event: EventId,
    columns: &str,
    mut visit: impl FnMut(&MySqlRow) -> Result<()>,
) -> Result<()> {
    let from = format!(
        "SELECT {columns}, live_user, order_id AS cursor_id FROM spike_orders WHERE event_id = {event}"
    );
    let mut after = String::new();
    loop {
        let text = format!("{from} AND live_user IS NOT NULL{after} ORDER BY live_user LIMIT {PAGE}");
        let rows = rows_of_text(conn, text).await?;
        rows.iter().try_for_each(&mut visit)?;
        let Some(last) = rows.last().filter(|_| rows.len() == PAGE) else { break };
        after = format!(" AND live_user > {}", at::<i64>(last, "live_user")?);
    }
    after.clear();
    loop {
        let text = format!("{from} AND live_user IS NULL{after} ORDER BY order_id LIMIT {PAGE}");
        let rows = rows_of_text(conn, text).await?;
        rows.iter().try_for_each(&mut visit)?;
        let Some(last) = rows.last().filter(|_| rows.len() == PAGE) else { break };
        after = " AND order_id > ".to_owned();
        push_hex(&mut after, order_at(last, "cursor_id")?.bytes());
    }
    Ok(())
}
