//! Table `idempotency_keys`: which requests were begun under a key, and what they were answered.
//!
//! A key is written before its effect, with the id that the effect will have (of the order, of the payment
//! attempt). Whoever dies between the two, or between the effect and its answer, leaves the key with that id: the
//! next request with the key does the same effect again, under the same primary key, and so at most once.

use sqlx::AssertSqlSafe;

use spike_domain::UserId;

use crate::backend::{Conn, Row};
use crate::error::duplicate;
use crate::query::query;
use crate::sql::{at, rows_of_text, run_text, signed, u64_at};
use crate::transaction::{read, transact};
use crate::{Result, Store, StoreError};

/// A request that carries a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyedRequest<'a> {
    /// Who sends it; keys of two users never meet.
    pub user: UserId,
    /// The route, at most 64 ASCII characters; keys of two routes never meet.
    pub route: &'a str,
    /// The key, or its digest; at most 64 ASCII characters.
    pub key: &'a str,
    /// What is asked for: the same key with another payload is refused.
    pub payload: &'a [u8; 32],
    /// Id of the effect, if this request is the first with the key.
    pub effect: [u8; 16],
    /// How long nobody else may work on it, in milliseconds: longer than a request may last.
    pub lease_ms: u64,
    /// How long a key is remembered, in milliseconds.
    pub keep_ms: u64,
}

/// What a request with a key is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTurn {
    /// Do it, under this id: the first one's, or that of a request that ended without an answer.
    Run {
        /// Id of the effect.
        effect: [u8; 16],
        /// Until when nobody else does it, Unix milliseconds by the database's clock; names this turn.
        locked_until_ms: u64,
    },
    /// Give this answer, as [`Store::finish_key`] kept it.
    Replay(Vec<u8>),
    /// Another request with the key is at it.
    InFlight,
    /// The key was used with another payload.
    Mismatch,
}

/// Runs of a claim that others have run into: each time the row it met had gone again.
const ATTEMPTS_MAX: u32 = 4;

impl Store {
    /// Takes the turn of a request with a key, in one transaction: of any number at once, one is told to run. A key
    /// older than `keep_ms` is forgotten, whether it has been purged or not, unless it is somebody's turn just now.
    pub async fn claim_key(&self, request: &KeyedRequest<'_>) -> Result<KeyTurn> {
        for _ in 0..ATTEMPTS_MAX {
            let turn = transact!(self, |tx| {
                match known(tx, request).await? {
                    Some(known) => decide(tx, request, known).await.map(Some),
                    None => begin(tx, request).await,
                }
            })?;
            if let Some(turn) = turn {
                return Ok(turn);
            }
        }
        Err(StoreError::Retry("a key that appears and disappears".into()))
    }

    /// Keeps the answer of a request that has had its turn; the first answer stays.
    pub async fn finish_key(
        &self,
        request: &KeyedRequest<'_>,
        effect: [u8; 16],
        answer: &[u8],
    ) -> Result<()> {
        transact!(self, |tx| {
            let text = "UPDATE idempotency_keys SET answer = ? \
                        WHERE user_id = ? AND route = ? AND idem_key = ? AND effect_id = ? AND answer IS NULL";
            let update = query(text).bind(answer).bind(request.user.0).bind(request.route).bind(request.key);
            update.bind(&effect[..]).execute(tx).await?;
            Ok(())
        })
    }

    /// Gives a turn back without an answer: the next request with the key runs, under the same id.
    pub async fn release_key(&self, request: &KeyedRequest<'_>, locked_until_ms: u64) -> Result<()> {
        transact!(self, |tx| {
            let text = "UPDATE idempotency_keys SET locked_until_ms = 0 \
                        WHERE user_id = ? AND route = ? AND idem_key = ? AND locked_until_ms = ?";
            let update = query(text).bind(request.user.0).bind(request.route).bind(request.key);
            update.bind(signed(locked_until_ms)).execute(tx).await?;
            Ok(())
        })
    }

    /// Forgets keys that are older than `keep_ms` and nobody's turn, oldest first, about `limit` a call. Returns how many.
    pub async fn purge_keys(&self, keep_ms: u64, limit: u32) -> Result<u64> {
        let now = self.dialect().now_ms();
        let free = format!("locked_until_ms <= {now}");
        let old = format!("created_at_ms <= {now} - {}", signed(keep_ms));
        let last = format!(
            "SELECT created_at_ms FROM idempotency_keys WHERE {old} AND {free} ORDER BY created_at_ms LIMIT 1 OFFSET {limit}"
        );
        let rows = read!(self, |conn| { Ok(rows_of_text(conn, last).await?) })?;
        let bound = match rows.first() {
            Some(row) => format!("created_at_ms <= {}", u64_at(row, "created_at_ms")?),
            None => old,
        };
        transact!(self, |tx| {
            Ok(run_text(tx, format!("DELETE FROM idempotency_keys WHERE {bound} AND {free}")).await?)
        })
    }
}

/// A key that has a row, locked until the transaction ends.
struct Known {
    payload: Vec<u8>,
    effect: [u8; 16],
    locked_until_ms: u64,
    answer: Option<Vec<u8>>,
    created_at_ms: u64,
    now_ms: u64,
}

async fn known(tx: &mut Conn, request: &KeyedRequest<'_>) -> Result<Option<Known>> {
    let (now, for_update) = (tx.dialect().now_ms(), tx.dialect().for_update());
    let text = AssertSqlSafe(format!(
        "SELECT payload_hash, effect_id, locked_until_ms, answer, created_at_ms, {now} AS now_ms FROM idempotency_keys \
         WHERE user_id = ? AND route = ? AND idem_key = ? {for_update}"
    ));
    let select = query(text).bind(request.user.0).bind(request.route).bind(request.key);
    select.fetch_optional(tx).await?.as_ref().map(Known::read).transpose()
}

/// The first request with the key; `None` when another one was faster.
async fn begin(tx: &mut Conn, request: &KeyedRequest<'_>) -> Result<Option<KeyTurn>> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "INSERT INTO idempotency_keys (user_id, route, idem_key, payload_hash, effect_id, locked_until_ms, created_at_ms) \
         VALUES (?, ?, ?, ?, ?, {now} + ?, {now})"
    ));
    let insert = query(text).bind(request.user.0).bind(request.route).bind(request.key);
    let insert = insert.bind(&request.payload[..]).bind(&request.effect[..]).bind(signed(request.lease_ms));
    match insert.execute(tx).await {
        Ok(_) => {}
        Err(error) if duplicate(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let written = known(tx, request).await?.ok_or(StoreError::NotFound)?;
    Ok(Some(KeyTurn::Run { effect: written.effect, locked_until_ms: written.locked_until_ms }))
}

async fn decide(tx: &mut Conn, request: &KeyedRequest<'_>, known: Known) -> Result<KeyTurn> {
    let old = known.created_at_ms.saturating_add(request.keep_ms) <= known.now_ms;
    // However old: somebody's turn ends with its lease.
    if old && known.locked_until_ms <= known.now_ms {
        return take_over(tx, request, request.effect, known.now_ms, true).await;
    }
    if known.payload != request.payload {
        return Ok(KeyTurn::Mismatch);
    }
    if let Some(answer) = known.answer {
        return Ok(KeyTurn::Replay(answer));
    }
    if known.locked_until_ms > known.now_ms {
        return Ok(KeyTurn::InFlight);
    }
    take_over(tx, request, known.effect, known.now_ms, false).await
}

/// Takes a row that nobody works on, under the lock that is held; `anew` as if it had not been there.
async fn take_over(
    tx: &mut Conn,
    request: &KeyedRequest<'_>,
    effect: [u8; 16],
    now_ms: u64,
    anew: bool,
) -> Result<KeyTurn> {
    let locked_until_ms = now_ms + request.lease_ms;
    let born = if anew { ", answer = NULL, created_at_ms = ?" } else { "" };
    let text = AssertSqlSafe(format!(
        "UPDATE idempotency_keys SET payload_hash = ?, effect_id = ?, locked_until_ms = ?{born} \
         WHERE user_id = ? AND route = ? AND idem_key = ?"
    ));
    let mut update = query(text).bind(&request.payload[..]).bind(&effect[..]).bind(signed(locked_until_ms));
    if anew {
        update = update.bind(signed(now_ms));
    }
    update.bind(request.user.0).bind(request.route).bind(request.key).execute(tx).await?;
    Ok(KeyTurn::Run { effect, locked_until_ms })
}

impl Known {
    fn read(row: &Row) -> Result<Self> {
        let effect: &[u8] = at(row, "effect_id")?;
        Ok(Self {
            payload: at(row, "payload_hash")?,
            effect: effect.try_into().map_err(|_| StoreError::corrupt("effect_id is no id"))?,
            locked_until_ms: u64_at(row, "locked_until_ms")?,
            answer: at(row, "answer")?,
            created_at_ms: u64_at(row, "created_at_ms")?,
            now_ms: u64_at(row, "now_ms")?,
        })
    }
}
