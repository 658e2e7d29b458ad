//! Table `sessions`: who is logged in, since when, and until when.
//!
//! Lock order: the user's row, then sessions, then their refresh tokens. A session's row is locked before anything of the
//! session is changed.

use std::net::IpAddr;

use spike_domain::{Revoked, Role, SessionId, UserId};
use sqlx::AssertSqlSafe;

use crate::audit_log::record;
use crate::backend::Conn;
use crate::query::query;
use crate::refresh::insert_token;
use crate::revocations::{ALL_TOKENS, put};
use crate::sql::{CHUNK, at, run_text, session_at, session_list, signed, u32_at, u64_at};
use crate::transaction::{read, transact};
use crate::users::{UserRow, user_in};
use crate::{AuditTarget, NewAudit, Result, Store};

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

/// How sessions are ended. Each leaves a row in the audit log.
#[derive(Debug, Clone)]
pub struct Revoke {
    /// Why.
    pub why: Revoked,
    /// The longest that an access token minted now is taken anywhere, milliseconds.
    pub token_life_ms: u64,
    /// Who ends them, by which request and from where; action, target and detail are filled in.
    pub by: NewAudit,
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
        by: &NewAudit,
    ) -> Result<Option<NewlyStarted>> {
        transact!(self, |tx| { create_session_in(tx, &new, rules, by).await })
    }

    /// Ends a session and every token of it. Whether this call did: not when it is unknown or was revoked before.
    pub async fn revoke_session(&self, session: SessionId, revoke: &Revoke) -> Result<bool> {
        let lock = format!(
            "SELECT user_id FROM sessions WHERE id = ? AND revoked_at_ms IS NULL {}",
            self.dialect().for_update()
        );
        transact!(self, |tx| {
            let lock = query(AssertSqlSafe(lock.clone())).bind(&session.bytes()[..]);
            let Some(row) = lock.fetch_optional(tx).await? else { return Ok(false) };
            let user = UserId(at(&row, "user_id")?);
            revoke_locked(tx, user, &[session], revoke).await?;
            Ok(true)
        })
    }

    /// Ends every session of a user, and every token of them. Returns those it ended.
    pub async fn revoke_sessions_of(&self, user: UserId, revoke: &Revoke) -> Result<Vec<SessionId>> {
        transact!(self, |tx| { revoke_all_of(tx, user, revoke).await })
    }

    /// The account behind an access token of generation `ver` of a session, unless the session is revoked or has gone on to
    /// another generation. A session without a row, as of a token minted for a load test, stands in nobody's way where the
    /// token claims no more than `claimed` = user; an administrator's must be in the table, and be theirs.
    pub async fn account_in_session(
        &self,
        user: UserId,
        session: SessionId,
        ver: u32,
        claimed: Role,
    ) -> Result<Option<UserRow>> {
        let text = "SELECT user_id, generation, revoked_at_ms FROM sessions WHERE id = ?";
        read!(self, |conn| {
            let row = query(text).bind(&session.bytes()[..]).fetch_optional(&mut *conn).await?;
            let alive = match row {
                Some(row) => {
                    let revoked = at::<Option<i64>>(&row, "revoked_at_ms")?.is_some();
                    let theirs = UserId(at(&row, "user_id")?) == user;
                    theirs && !revoked && u32_at(&row, "generation")? <= ver
                }
                None => claimed == Role::User,
            };
            if alive { user_in(conn, user).await } else { Ok(None) }
        })
    }
}

/// [`Store::create_session`] within a transaction.
pub(crate) async fn create_session_in(
    tx: &mut Conn,
    new: &NewSession,
    rules: &SessionRules,
    by: &NewAudit,
) -> Result<Option<NewlyStarted>> {
    let Some(now_ms) = lock_account(tx, new).await? else { return Ok(None) };
    let ended = make_room(tx, new.user, rules, by, now_ms).await?;
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
}

/// Ends every session of a user within a transaction that has changed the user's row.
pub(crate) async fn revoke_all_of(tx: &mut Conn, user: UserId, revoke: &Revoke) -> Result<Vec<SessionId>> {
    let alive = live_sessions(tx, user, 0).await?;
    revoke_locked(tx, user, &alive, revoke).await?;
    Ok(alive)
}

/// Ends sessions of a user whose rows are locked and not revoked.
pub(crate) async fn revoke_locked(
    tx: &mut Conn,
    user: UserId,
    sessions: &[SessionId],
    revoke: &Revoke,
) -> Result<()> {
    let (now, code) = (tx.dialect().now_ms(), revoke.why.code());
    for chunk in sessions.chunks(CHUNK) {
        let text = format!(
            "UPDATE sessions SET revoked_at_ms = {now}, revoked_why = {code} WHERE id IN ({}) AND revoked_at_ms IS NULL",
            session_list(chunk)
        );
        run_text(tx, text).await?;
    }
    put(tx, sessions, ALL_TOKENS, revoke.token_life_ms).await?;
    for session in sessions {
        let line = NewAudit {
            action: "session.revoked".to_owned(),
            target: Some(AuditTarget::new("session", session)),
            detail: format!(r#"{{"user":{user},"why":"{}"}}"#, revoke.why.as_str()),
            ..revoke.by.clone()
        };
        record(tx, &line).await?;
    }
    Ok(())
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
async fn make_room(
    tx: &mut Conn,
    user: UserId,
    rules: &SessionRules,
    by: &NewAudit,
    now_ms: u64,
) -> Result<Vec<SessionId>> {
    let mut alive = live_sessions(tx, user, now_ms).await?;
    let room = usize::try_from(rules.live_max.max(1) - 1).unwrap_or(usize::MAX);
    alive.truncate(alive.len().saturating_sub(room));
    let revoke = Revoke { why: Revoked::Replaced, token_life_ms: rules.token_life_ms, by: by.clone() };
    revoke_locked(tx, user, &alive, &revoke).await?;
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
