//! Forgets sessions, refresh tokens and revocations that are over.

use sqlx::AssertSqlSafe;

use crate::query::query;
use crate::sql::{at, hex_list, run_text, signed};
use crate::transaction::{read, transact};
use crate::{Result, Store};

/// What a purge has deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Refresh tokens.
    pub tokens: u64,
    /// Sessions.
    pub sessions: u64,
    /// Revocations.
    pub revocations: u64,
}

impl Purged {
    /// Rows of all kinds.
    pub fn rows(&self) -> u64 {
        self.tokens + self.sessions + self.revocations
    }
}

impl Store {
    /// Deletes at most `limit` rows of each kind: revocations that are over, and sessions with their tokens once they have
    /// been over for `keep_ms`, so that an access token never outlives the row that ends it.
    pub async fn purge_sessions(&self, limit: u32, keep_ms: u64) -> Result<Purged> {
        let now_ms = self.now_ms().await?;
        let over_ms = now_ms.saturating_sub(keep_ms);
        let revocations = self.purge("revocations", "session_id", "until_ms", now_ms, limit).await?;
        let tokens = self.purge("refresh_tokens", "hash", "expires_at_ms", over_ms, limit).await?;
        // No token of a session expires later than the session: when all tokens of that time are gone, so are its own.
        let sessions = match tokens < u64::from(limit) {
            true => self.purge("sessions", "id", "expires_at_ms", over_ms, limit).await?,
            false => 0,
        };
        Ok(Purged { tokens, sessions, revocations })
    }

    /// Deletes the `limit` oldest rows whose `time` is at most `over_ms`. Which ones they are is read outside the
    /// transaction that deletes them, so that it locks them and nothing else; it asks for their time again.
    async fn purge(&self, table: &str, key: &str, time: &str, over_ms: u64, limit: u32) -> Result<u64> {
        let text = format!("SELECT {key} FROM {table} WHERE {time} <= ? ORDER BY {time} LIMIT {limit}");
        let rows = read!(self, |conn| {
            Ok(query(AssertSqlSafe(text)).bind(signed(over_ms)).fetch_all(conn).await?)
        })?;
        let keys = rows.iter().map(|row| at::<&[u8]>(row, key)).collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Ok(0);
        }
        let text = format!(
            "DELETE FROM {table} WHERE {key} IN ({}) AND {time} <= {over_ms}",
            hex_list(keys.into_iter())
        );
        transact!(self, |tx| { Ok(run_text(tx, text.clone()).await?) })
    }
}
