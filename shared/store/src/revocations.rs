//! Table `revocations`: which access tokens are dead before their time. The truth that every gateway loads at its start and
//! polls; what is kept is bounded by the revocations within one life of an access token.

use spike_domain::SessionId;

use crate::backend::{Conn, Row};
use crate::query::query;
use crate::sql::{CHUNK, run_text, session_at, session_list, signed, u32_at, u64_at};
use crate::transaction::read;
use crate::{Result, Store};
use sqlx::AssertSqlSafe;

/// The `min_ver` of a session that is over: no token of it is alive.
pub const ALL_TOKENS: u32 = u32::MAX;

/// Access tokens of one session that are dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// The session.
    pub session: SessionId,
    /// Tokens with a smaller `ver` are dead.
    pub min_ver: u32,
    /// When the last of those tokens has expired and this can be forgotten, Unix milliseconds.
    pub until_ms: u64,
    /// By the database's clock, Unix milliseconds.
    pub created_at_ms: u64,
}

impl Store {
    /// What has been revoked since `since_created_ms` (the database's clock; 0 for everything) and is not over yet, oldest
    /// first.
    pub async fn revocations(&self, since_created_ms: u64) -> Result<Vec<Revocation>> {
        self.revocations_since(since_created_ms, 0).await
    }

    /// What has been revoked since `newest_ms` (the latest `created_at_ms` seen so far) or within the last `overlap_ms`,
    /// whichever reaches further back, and is not over yet, oldest first. The second bound is for a database whose clock
    /// was set back: what it revokes then is older than what was seen before. A transaction that ends late shows its
    /// revocation late, so `overlap_ms` is also taken off `newest_ms`; it is at least twice the statement timeout.
    pub async fn revocations_since(&self, newest_ms: u64, overlap_ms: u64) -> Result<Vec<Revocation>> {
        let since_ms = newest_ms.saturating_sub(overlap_ms);
        let now = self.dialect().now_ms();
        let text = format!(
            "SELECT session_id, min_ver, until_ms, created_at_ms FROM revocations \
             WHERE created_at_ms >= CASE WHEN ? < {now} - {overlap_ms} THEN ? ELSE {now} - {overlap_ms} END \
             AND until_ms > {now} \
             ORDER BY created_at_ms"
        );
        read!(self, |conn| {
            // One bound, not two with OR: that is how both databases use the index.
            let select = query(AssertSqlSafe(text)).bind(signed(since_ms)).bind(signed(since_ms));
            let rows = select.fetch_all(conn).await?;
            rows.iter().map(Revocation::read).collect()
        })
    }
}

impl Revocation {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            session: session_at(row, "session_id")?,
            min_ver: u32_at(row, "min_ver")?,
            until_ms: u64_at(row, "until_ms")?,
            created_at_ms: u64_at(row, "created_at_ms")?,
        })
    }
}

/// Revokes tokens older than `min_ver` of sessions whose rows the caller has locked; `min_ver` of a session only ever rises.
pub(crate) async fn put(
    tx: &mut Conn,
    sessions: &[SessionId],
    min_ver: u32,
    token_life_ms: u64,
) -> Result<()> {
    let now = tx.dialect().now_ms();
    for chunk in sessions.chunks(CHUNK) {
        run_text(tx, format!("DELETE FROM revocations WHERE session_id IN ({})", session_list(chunk)))
            .await?;
        let row = |session: &SessionId| {
            let id = session_list(std::slice::from_ref(session));
            format!("({id}, {min_ver}, {now} + {token_life_ms}, {now})")
        };
        let rows: Vec<String> = chunk.iter().map(row).collect();
        let text = format!(
            "INSERT INTO revocations (session_id, min_ver, until_ms, created_at_ms) VALUES {}",
            rows.join(",")
        );
        run_text(tx, text).await?;
    }
    Ok(())
}
