//! Visiting every row of an event, one by one as they arrive: a million rows never stand in memory twice.

use futures_util::{StreamExt as _, TryStreamExt as _};
use spike_domain::EventId;
use sqlx::AssertSqlSafe;

use crate::Result;
use crate::backend::{Conn, Row};

/// Calls `visit` with `columns` of every row of the event, in no useful order, all of one moment. No pages:
/// their order would cost a further index or a sort of what is left for each of them. The caller's session
/// must have no limit on a statement's time.
pub(crate) async fn for_every_row(
    conn: &mut Conn,
    event: EventId,
    columns: &str,
    mut visit: impl FnMut(&Row) -> Result<()>,
) -> Result<()> {
    let text = format!("SELECT {columns} FROM spike_orders WHERE event_id = {event}");
    let text = sqlx::raw_sql(AssertSqlSafe(text));
    let mut rows = match conn {
        Conn::MySql(conn) => text.fetch(&mut **conn).map_ok(Row::MySql).boxed(),
        Conn::Sqlite(conn) => text.fetch(&mut **conn).map_ok(Row::Sqlite).boxed(),
    };
    while let Some(row) = rows.try_next().await? {
        visit(&row)?;
    }
    Ok(())
}
