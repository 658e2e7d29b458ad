//! Table `sessions`: who is logged in, since when, and until when.
//!
//! Lock order: the user's row, then sessions, then their refresh tokens. A session's row is locked before anything of the
//! session is changed.

use std::net::IpAddr;

use spike_domain::{Revoked, SessionId, UserId};
use sqlx::AssertSqlSafe;

use crate::backend::Conn;
use crate::query::query;
use crate::refresh::insert_token;
use crate::revocations::{ALL_TOKENS, put};
use crate::sql::{CHUNK, at, run_text, session_at, session_list, signed, u32_at, u64_at};
use crate::transaction::transact;
use crate::{Result, Store};

/// SHA-256 of a refresh token.
pub type TokenHash = [u8; 32];

/// How long sessions and their tokens live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRules {
    /// Life of an unused refresh token, milliseconds.
    pub refresh_ttl_ms: u64,
    /// Life of a session, however often it is refreshed, milliseconds.
    pub session_ttl_ms: u64,
    /// How long after a refresh its answer may be asked for again, milliseconds.
    pub retry_ms: u64,
    /// Most live sessions of one user; the oldest makes room.
    pub live_max: u32,
    /// The longest that an access token minted now is taken anywhere, milliseconds: its life and the leeway.
    pub token_life_ms: u64,
}

/// A session to create.
#[derive(Debug, Clone, Copy)]
pub struct NewSession {
    /// Its id, never used before.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// The account's `token_version` when its password was checked.
    pub token_version: u32,
    /// Where the login came from.
    pub address: Option<IpAddr>,
    /// The hash of its first refresh token.
    pub refresh_hash: TokenHash,
}

/// A session that has just been created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewlyStarted {
    /// `ver` of its access tokens.
    pub generation: u32,
    /// Milliseconds until its refresh token expires.
    pub refresh_expires_in_ms: u64,
    /// Older sessions of the user that made room for it.
    pub ended: Vec<SessionId>,
}

impl Store {
    /// Creates a session with its first refresh token. `None` when the account is gone, disabled, or has changed its password
    /// or role since its `token_version` was read: what was checked then proves nothing now.
    pub async fn create_session(
        &self,
        new: NewSession,
        rules: &SessionRules,
    ) -> Result<Option<NewlyStarted>> {
        transact!(self, |tx| {
            let Some(now_ms) = lock_account(tx, &new).await? else { return Ok(None) };
            let ended = make_room(tx, new.user, rules, now_ms).await?;
            let ends_at_ms = now_ms.saturating_add(rules.session_ttl_ms);
            let expires_at_ms = now_ms.saturating_add(rules.refresh_ttl_ms).min(ends_at_ms);
            let address = new.address.map(|address| address.to_string());
            let text = "INSERT INTO sessions (id, user_id, generation, address, created_at_ms, used_at_ms, \
                        expires_at_ms, ends_at_ms) VALUES (?, ?, 1, ?, ?, ?, ?, ?)";
            let insert = query(text)
                .bind(&new.id.bytes()[..])
                .bind(new.user.0)
                .bind(address.as_deref())
                .bind(signed(now_ms))
                .bind(signed(now_ms))
                .bind(signed(expires_at_ms))
                .bind(signed(ends_at_ms));
            insert.execute(tx).await?;
            insert_token(tx, new.id, &new.refresh_hash, 1, expires_at_ms).await?;
            let refresh_expires_in_ms = expires_at_ms - now_ms;
            Ok(Some(NewlyStarted { generation: 1, refresh_expires_in_ms, ended }))
        })
    }

    /// Ends a session and every token of it. Whether this call did: not when it is unknown or was revoked before.
    pub async fn revoke_session(&self, session: SessionId, why: Revoked, token_life_ms: u64) -> Result<bool> {
        let lock = format!(
            "SELECT id FROM sessions WHERE id = ? AND revoked_at_ms IS NULL {}",
            self.dialect().for_update()
        );
        transact!(self, |tx| {
            let alive =
                query(AssertSqlSafe(lock.clone())).bind(&session.bytes()[..]).fetch_optional(tx).await?;
            if alive.is_some() {
                revoke(tx, &[session], why, token_life_ms).await?;
            }
            Ok(alive.is_some())
        })
    }

    /// Ends every session of a user, and every token of them. Returns how many it ended.
    pub async fn revoke_sessions_of(&self, user: UserId, why: Revoked, token_life_ms: u64) -> Result<usize> {
        transact!(self, |tx| { Ok(revoke_all_of(tx, user, why, token_life_ms).await?.len()) })
    }
}

/// Ends every session of a user within a transaction that has changed the user's row.
pub(crate) async fn revoke_all_of(
    tx: &mut Conn,
    user: UserId,
    why: Revoked,
    token_life_ms: u64,
) -> Result<Vec<SessionId>> {
    let alive = live_sessions(tx, user, 0).await?;
    revoke(tx, &alive, why, token_life_ms).await?;
    Ok(alive)
}

/// Ends sessions whose rows are locked and not revoked.
pub(crate) async fn revoke(
    tx: &mut Conn,
    sessions: &[SessionId],
    why: Revoked,
    token_life_ms: u64,
) -> Result<()> {
    let (now, code) = (tx.dialect().now_ms(), why.code());
    for chunk in sessions.chunks(CHUNK) {
        let text = format!(
            "UPDATE sessions SET revoked_at_ms = {now}, revoked_why = {code} WHERE id IN ({}) AND revoked_at_ms IS NULL",
            session_list(chunk)
        );
        run_text(tx, text).await?;
    }
    put(tx, sessions, ALL_TOKENS, token_life_ms).await
}

/// Locks the account of a new session; the database's clock, unless the account is not what it was.
async fn lock_account(tx: &mut Conn, new: &NewSession) -> Result<Option<u64>> {
    let text = AssertSqlSafe(format!(
        "SELECT token_version, disabled, {} AS now_ms FROM users WHERE id = ? {}",
        tx.dialect().now_ms(),
        tx.dialect().for_update()
    ));
    let Some(row) = query(text).bind(new.user.0).fetch_optional(tx).await? else { return Ok(None) };
    let disabled: i8 = at(&row, "disabled")?;
    let same = disabled == 0 && u32_at(&row, "token_version")? == new.token_version;
    Ok(if same { Some(u64_at(&row, "now_ms")?) } else { None })
}

/// Ends the oldest sessions of a user, so that with one more there are as many as are allowed.
async fn make_room(tx: &mut Conn, user: UserId, rules: &SessionRules, now_ms: u64) -> Result<Vec<SessionId>> {
    let mut alive = live_sessions(tx, user, now_ms).await?;
    let room = usize::try_from(rules.live_max.max(1) - 1).unwrap_or(usize::MAX);
    alive.truncate(alive.len().saturating_sub(room));
    revoke(tx, &alive, Revoked::Replaced, rules.token_life_ms).await?;
    Ok(alive)
}

/// A user's sessions that are neither revoked nor over at `now_ms`, oldest first, locked.
async fn live_sessions(tx: &mut Conn, user: UserId, now_ms: u64) -> Result<Vec<SessionId>> {
    let text = AssertSqlSafe(format!(
        "SELECT id FROM sessions WHERE user_id = ? AND revoked_at_ms IS NULL AND expires_at_ms > ? \
         ORDER BY created_at_ms, id {}",
        tx.dialect().for_update()
    ));
    let rows = query(text).bind(user.0).bind(signed(now_ms)).fetch_all(tx).await?;
    rows.iter().map(|row| session_at(row, "id")).collect()
}
