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
        let mut tokens = self.purge("refresh_tokens", "hash", "expires_at_ms", over_ms, limit).await?;
        if tokens < u64::from(limit) {
            tokens +=
                self.purge_tokens_of_old_sessions(over_ms, limit.saturating_sub(narrow(tokens))).await?;
        }
        // Fewer than were asked for: no session of that time has a token left.
        let sessions = match tokens < u64::from(limit) {
            true => self.purge("sessions", "id", "expires_at_ms", over_ms, limit).await?,
            false => 0,
        };
        Ok(Purged { tokens, sessions, revocations })
    }

    /// Deletes at most `limit` tokens of sessions that were over at `over_ms`: a session that was refreshed after
    /// `auth.refresh_ttl_s` had been lowered is over before its spent tokens are.
    async fn purge_tokens_of_old_sessions(&self, over_ms: u64, limit: u32) -> Result<u64> {
        let text = format!(
            "SELECT refresh_tokens.hash AS hash FROM sessions \
             JOIN refresh_tokens ON refresh_tokens.session_id = sessions.id \
             WHERE sessions.expires_at_ms <= ? ORDER BY sessions.expires_at_ms LIMIT {limit}"
        );
        let rows = read!(self, |conn| {
            Ok(query(AssertSqlSafe(text)).bind(signed(over_ms)).fetch_all(conn).await?)
        })?;
        let hashes = rows.iter().map(|row| at::<&[u8]>(row, "hash")).collect::<Result<Vec<_>>>()?;
        if hashes.is_empty() {
            return Ok(0);
        }
        // A session that is over has no token that could still bring it back.
        let text = format!("DELETE FROM refresh_tokens WHERE hash IN ({})", hex_list(hashes.into_iter()));
        transact!(self, |tx| { Ok(run_text(tx, text.clone()).await?) })
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

/// A number of deleted rows, which never exceeds its limit.
fn narrow(rows: u64) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
