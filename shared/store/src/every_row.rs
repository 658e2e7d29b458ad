//! Visiting every row of an event, one by one as they arrive: a million rows never stand in memory twice.

use futures_util::TryStreamExt as _;
use spike_domain::EventId;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, MySqlConnection};

use crate::Result;

/// Calls `visit` with `columns` of every row of the event, in no useful order, all of one moment. No pages:
/// their order would cost a further index or a sort of what is left for each of them. The caller's session
/// must have no limit on a statement's time.
pub(crate) async fn for_every_row(
    conn: &mut MySqlConnection,
    event: EventId,
    columns: &str,
    mut visit: impl FnMut(&MySqlRow) -> Result<()>,
) -> Result<()> {
    let text = format!("SELECT {columns} FROM spike_orders WHERE event_id = {event}");
    let mut rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch(conn);
    while let Some(row) = rows.try_next().await? {
        visit(&row)?;
    }
    Ok(())
}
