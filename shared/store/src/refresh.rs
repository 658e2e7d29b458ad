//! Table `refresh_tokens`: each is used once, and a second use tells of a theft.
//!
//! A token is looked for before anything is locked, so that garbage, and what is over, cost one read and no transaction.
//! One that may be good is used in one transaction under the lock of the session's row, so that of a hundred refreshes with one token one rotates it and
//! the others are told the same successor. The token is known by its hash only, the successor is kept sealed: what opens it
//! is the spent token itself, which this crate never sees.

use spike_domain::{Revoked, SessionId, UserId};
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::query::query;
use crate::revocations::put;
use crate::sessions::{Revoke, SessionRules, TokenHash, revoke_locked};
use crate::sql::{at, signed, u32_at, u64_at};
use crate::transaction::{read, transact};
use crate::users::{UserRow, user_in};
use crate::{NewAudit, Result, Store, StoreError};

/// How far back a healthy database's clock may go, in milliseconds.
const TREMBLE_MS: u64 = 1000;

/// A refresh token that somebody has sent, and what is to follow it.
#[derive(Debug, Clone, Copy)]
pub struct Presented {
    /// The session that the token names.
    pub session: SessionId,
    /// The token's hash.
    pub hash: TokenHash,
    /// The hash of its successor, if it is to have this one.
    pub successor: TokenHash,
    /// That successor, sealed.
    pub sealed: [u8; 32],
}

/// What a refresh has come to.
#[derive(Debug, Clone)]
pub enum Refreshed {
    /// The token was used for the first time; its successor is the one presented.
    Rotated(Renewed),
    /// The token was used a moment ago, and its successor was not yet: the answer may have been lost.
    Repeated {
        /// The same as then.
        renewed: Renewed,
        /// The successor as it was sealed then.
        sealed: [u8; 32],
    },
    /// The token was used before: its session has been revoked by this call.
    Reused {
        /// Whose session it was.
        user: UserId,
    },
    /// No such token, or it is over, or its session or its account is. Nothing was written.
    Refused,
}

/// A session after its refresh.
#[derive(Debug, Clone)]
pub struct Renewed {
    /// Whose.
    pub user: UserRow,
    /// `ver` of its access tokens now; older ones are revoked.
    pub generation: u32,
    /// Milliseconds until the successor expires.
    pub refresh_expires_in_ms: u64,
}

/// A session's row, locked.
struct Locked {
    id: SessionId,
    user: UserId,
    generation: u32,
    expires_at_ms: u64,
    ends_at_ms: u64,
    revoked: bool,
    now_ms: u64,
}

/// A token of that session.
struct Token {
    generation: u32,
    spent: Option<Spent>,
    expires_at_ms: u64,
}

/// What its first use has left.
struct Spent {
    at_ms: u64,
    sealed: [u8; 32],
}

impl Store {
    /// Uses a refresh token: the session goes to its next generation, whose access tokens are the only ones alive.
    /// A second use leaves a row in the audit log, as of `by`.
    pub async fn refresh_session(
        &self,
        presented: &Presented,
        rules: &SessionRules,
        by: &NewAudit,
    ) -> Result<Refreshed> {
        if !self.may_be_good(presented.session, &presented.hash, false).await? {
            return Ok(Refreshed::Refused);
        }
        transact!(self, |tx| {
            let Some(session) = lock(tx, presented.session).await? else { return Ok(Refreshed::Refused) };
            let Some(token) = find(tx, session.id, &presented.hash).await? else {
                return Ok(Refreshed::Refused);
            };
            let user = user_in(tx, session.user).await?;
            let Some(user) = user.filter(|user| !user.disabled) else { return Ok(Refreshed::Refused) };
            if session.revoked || token.expires_at_ms <= session.now_ms {
                return Ok(Refreshed::Refused);
            }
            match token.spent {
                None => rotate(tx, &session, &token, presented, rules, user).await.map(Refreshed::Rotated),
                Some(_) => again(tx, &session, &token, rules, user, by).await,
            }
        })
    }

    /// Ends the session of a refresh token, used or not. Whether this call did.
    pub async fn revoke_by_token(
        &self,
        session: SessionId,
        hash: &TokenHash,
        revoke: &Revoke,
    ) -> Result<bool> {
        if !self.may_be_good(session, hash, true).await? {
            return Ok(false);
        }
        transact!(self, |tx| {
            let Some(locked) = lock(tx, session).await? else { return Ok(false) };
            if locked.revoked || find(tx, session, hash).await?.is_none() {
                return Ok(false);
            }
            // Whoever has the token is its user, as far as anybody can tell.
            let by = NewAudit { actor: Some(locked.user), ..revoke.by.clone() };
            revoke_locked(tx, locked.user, &[session], &Revoke { by, ..revoke.clone() }).await?;
            Ok(true)
        })
    }
}

impl Store {
    /// Whether a token is one of a session that is not revoked, and has not expired unless that does not matter. What is
    /// no good now will never be, so a no needs no lock; a yes is asked again under it.
    async fn may_be_good(&self, session: SessionId, hash: &TokenHash, even_expired: bool) -> Result<bool> {
        let since = if even_expired { "0" } else { self.dialect().now_ms() };
        let text = format!(
            "SELECT sessions.id AS id FROM refresh_tokens JOIN sessions ON sessions.id = refresh_tokens.session_id \
             WHERE refresh_tokens.hash = ? AND sessions.id = ? AND sessions.revoked_at_ms IS NULL \
             AND refresh_tokens.expires_at_ms > {since}"
        );
        read!(self, |conn| {
            let look = query(AssertSqlSafe(text)).bind(&hash[..]).bind(&session.bytes()[..]);
            Ok(look.fetch_optional(conn).await?.is_some())
        })
    }
}

/// Writes a token that nobody has used.
pub(crate) async fn insert_token(
    tx: &mut Conn,
    session: SessionId,
    hash: &TokenHash,
    generation: u32,
    expires_at_ms: u64,
) -> Result<()> {
    let text = "INSERT INTO refresh_tokens (hash, session_id, generation, expires_at_ms) VALUES (?, ?, ?, ?)";
    let insert = query(text).bind(&hash[..]).bind(&session.bytes()[..]).bind(generation);
    insert.bind(signed(expires_at_ms)).execute(tx).await?;
    Ok(())
}

/// The first use.
async fn rotate(
    tx: &mut Conn,
    session: &Locked,
    token: &Token,
    presented: &Presented,
    rules: &SessionRules,
    user: UserRow,
) -> Result<Renewed> {
    let now_ms = session.now_ms;
    let spend =
        "UPDATE refresh_tokens SET spent_at_ms = ?, successor = ? WHERE hash = ? AND spent_at_ms IS NULL";
    let spend = query(spend).bind(signed(now_ms)).bind(&presented.sealed[..]).bind(&presented.hash[..]);
    let spent = spend.execute(tx).await?.rows;
    if spent != 1 || token.generation != session.generation {
        let what = format!("session {}: its unused token is not its newest", session.id);
        return Err(StoreError::Corrupt(what));
    }
    let generation = session.generation + 1;
    let expires_at_ms = now_ms.saturating_add(rules.refresh_ttl_ms).min(session.ends_at_ms);
    let step = "UPDATE sessions SET generation = ?, used_at_ms = ?, expires_at_ms = ? WHERE id = ?";
    let step = query(step).bind(generation).bind(signed(now_ms)).bind(signed(expires_at_ms));
    step.bind(&session.id.bytes()[..]).execute(tx).await?;
    insert_token(tx, session.id, &presented.successor, generation, expires_at_ms).await?;
    put(tx, &[session.id], generation, rules.token_life_ms).await?;
    Ok(Renewed { user, generation, refresh_expires_in_ms: expires_at_ms.saturating_sub(now_ms) })
}

/// A further use: a lost answer, or a theft.
#[allow(clippy::too_many_arguments, reason = "every one of them decides")]
async fn again(
    tx: &mut Conn,
    session: &Locked,
    token: &Token,
    rules: &SessionRules,
    user: UserRow,
    by: &NewAudit,
) -> Result<Refreshed> {
    // The successor is the session's newest token, and so unused, as long as the session has gone one step only.
    let successor_unused = session.generation == token.generation + 1;
    match &token.spent {
        Some(spent) if successor_unused && in_time(spent.at_ms, session.now_ms, rules.retry_ms) => {
            let refresh_expires_in_ms = session.expires_at_ms.saturating_sub(session.now_ms);
            let renewed = Renewed { user, generation: session.generation, refresh_expires_in_ms };
            Ok(Refreshed::Repeated { renewed, sealed: spent.sealed })
        }
        _ => {
            let why = Revoked::Reuse;
            let revoke = Revoke { why, token_life_ms: rules.token_life_ms, by: by.clone() };
            revoke_locked(tx, user.id, &[session.id], &revoke).await?;
            Ok(Refreshed::Reused { user: user.id })
        }
    }
}

/// Whether an answer may be asked for again. A clock that was set back by more than it may tremble says nothing of the time
/// that has passed, so the token counts as spent long ago.
fn in_time(spent_at_ms: u64, now_ms: u64, retry_ms: u64) -> bool {
    now_ms.saturating_add(TREMBLE_MS) >= spent_at_ms && now_ms.saturating_sub(spent_at_ms) < retry_ms
}

async fn lock(tx: &mut Conn, session: SessionId) -> Result<Option<Locked>> {
    let text = AssertSqlSafe(format!(
        "SELECT user_id, generation, expires_at_ms, ends_at_ms, revoked_at_ms, {} AS now_ms \
         FROM sessions WHERE id = ? {}",
        tx.dialect().now_ms(),
        tx.dialect().for_update()
    ));
    let row = query(text).bind(&session.bytes()[..]).fetch_optional(tx).await?;
    row.as_ref().map(|row| Locked::read(session, row)).transpose()
}

impl Locked {
    fn read(id: SessionId, row: &Row) -> Result<Self> {
        Ok(Self {
            id,
            user: UserId(at(row, "user_id")?),
            generation: u32_at(row, "generation")?,
            expires_at_ms: u64_at(row, "expires_at_ms")?,
            ends_at_ms: u64_at(row, "ends_at_ms")?,
            revoked: at::<Option<i64>>(row, "revoked_at_ms")?.is_some(),
            now_ms: u64_at(row, "now_ms")?,
        })
    }
}

async fn find(tx: &mut Conn, session: SessionId, hash: &TokenHash) -> Result<Option<Token>> {
    let text = "SELECT generation, spent_at_ms, successor, expires_at_ms FROM refresh_tokens \
                WHERE hash = ? AND session_id = ?";
    let row = query(text).bind(&hash[..]).bind(&session.bytes()[..]).fetch_optional(tx).await?;
    let Some(row) = row else { return Ok(None) };
    let spent = match at::<Option<&[u8]>>(&row, "successor")? {
        Some(sealed) => {
            let sealed = sealed.try_into();
            let sealed = sealed.map_err(|_| StoreError::corrupt("a sealed successor of another length"))?;
            Some(Spent { at_ms: u64_at(&row, "spent_at_ms")?, sealed })
        }
        None => None,
    };
    Ok(Some(Token {
        generation: u32_at(&row, "generation")?,
        spent,
        expires_at_ms: u64_at(&row, "expires_at_ms")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_for_a_lost_answer_is_no_longer_by_a_clock_that_was_set_back() {
        for (now_ms, want) in
            [(100_000, true), (109_999, true), (110_000, false), (99_000, true), (98_999, false), (1, false)]
        {
            assert_eq!(in_time(100_000, now_ms, 10_000), want, "{now_ms}");
        }
        assert!(!in_time(100_000, 100_000, 0), "none is allowed");
    }
}
