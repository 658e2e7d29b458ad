//! Table `audit_log`: who did what to what, when and from where. Rows are only ever added; the one thing that changes is
//! the outcome of a row that was written before its action.

use std::net::IpAddr;

use spike_domain::UserId;
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, Row};
use crate::query::query;
use crate::sql::{at, u64_at};
use crate::transaction::{read, transact};
use crate::{Result, Store, StoreError};

/// Something that was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewAudit {
    /// Who did it; `None` for the system itself and for somebody unknown.
    pub actor: Option<UserId>,
    /// What: a word or a route, ASCII, at most 128 characters.
    pub action: String,
    /// On what.
    pub target: Option<AuditTarget>,
    /// More, as JSON text of at most 65,535 bytes; empty becomes `{}`.
    pub detail: String,
    /// The request that asked for it, ASCII, at most 64 characters.
    pub request_id: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
}

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTarget {
    /// Such as `user` or `event`, ASCII, at most 32 characters.
    pub kind: String,
    /// Its id, ASCII, at most 64 characters.
    pub id: String,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is under way, or whoever carried it out died before it could say.
    Unknown,
    /// Done.
    Done,
    /// Refused; nothing was changed.
    Refused,
    /// It failed on our side, and may have been done in part.
    Failed,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Rises with every row; the cursor.
    pub id: i64,
    /// Unix milliseconds by the database's clock.
    pub at_ms: u64,
    /// What was done; its `detail` is never empty.
    pub what: NewAudit,
    /// How it ended.
    pub outcome: Outcome,
}

/// Which rows; `None` takes all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Who did it.
    pub actor: Option<UserId>,
    /// What was done.
    pub action: Option<String>,
    /// On what kind of thing.
    pub target_kind: Option<String>,
    /// On which of them; has a meaning beside `target_kind` only.
    pub target_id: Option<String>,
}

impl AuditTarget {
    /// A kind and an id.
    pub fn new(kind: impl Into<String>, id: &(impl ToString + ?Sized)) -> Self {
        Self { kind: kind.into(), id: id.to_string() }
    }
}

impl Outcome {
    /// The word that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    fn code(self) -> i8 {
        match self {
            Self::Unknown => 0,
            Self::Done => 1,
            Self::Refused => 2,
            Self::Failed => 3,
        }
    }

    fn of_code(code: i8) -> Result<Self> {
        let all = [Self::Unknown, Self::Done, Self::Refused, Self::Failed];
        let found = all.into_iter().find(|outcome| outcome.code() == code);
        found.ok_or_else(|| StoreError::corrupt(format!("outcome {code} of an audited action")))
    }
}

impl Store {
    /// Adds a row of something done, in a transaction of its own. Errors: `Other` for what a column cannot hold.
    pub async fn record_audit(&self, audit: NewAudit) -> Result<()> {
        transact!(self, |tx| { record(tx, &audit).await })
    }

    /// Adds a row of something that is about to be done, of [`Outcome::Unknown`]; its id, for [`Store::finish_audit`].
    /// Errors: `Other` for what a column cannot hold.
    pub async fn begin_audit(&self, audit: &NewAudit) -> Result<i64> {
        transact!(self, |tx| { insert(tx, audit, Outcome::Unknown).await })
    }

    /// Says how that ended, once: a row whose outcome is known stays as it is. Target and detail replace those of the
    /// row. Errors: `NotFound` when there is no such row without an outcome.
    pub async fn finish_audit(
        &self,
        row: i64,
        target: Option<&AuditTarget>,
        detail: &str,
        outcome: Outcome,
    ) -> Result<()> {
        let text = "UPDATE audit_log SET outcome = ?, target_kind = ?, target_id = ?, detail = ? \
                    WHERE id = ? AND outcome = 0";
        transact!(self, |tx| {
            let update = query(text)
                .bind(outcome.code())
                .bind(target.map(|target| target.kind.as_str()))
                .bind(target.map(|target| target.id.as_str()))
                .bind(detail)
                .bind(row);
            if update.execute(tx).await?.rows == 1 { Ok(()) } else { Err(StoreError::NotFound) }
        })
    }

    /// Rows, newest first, at most `limit`, those before the cursor `before` (the last id of the page before).
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>> {
        let mut text = format!("SELECT {COLUMNS} FROM audit_log WHERE id < ?");
        let asked = [
            ("actor", filter.actor.is_some()),
            ("action", filter.action.is_some()),
            ("target_kind", filter.target_kind.is_some()),
            ("target_id", filter.target_id.is_some()),
        ];
        for (column, _) in asked.into_iter().filter(|(_, asked)| *asked) {
            text.push_str(&format!(" AND {column} = ?"));
        }
        text.push_str(" ORDER BY id DESC LIMIT ?");
        read!(self, |conn| {
            let mut query = query(AssertSqlSafe(text)).bind(before.unwrap_or(i64::MAX));
            if let Some(actor) = filter.actor {
                query = query.bind(actor.0);
            }
            for word in [&filter.action, &filter.target_kind, &filter.target_id].into_iter().flatten() {
                query = query.bind(word);
            }
            query.bind(limit).fetch_all(conn).await?.iter().map(AuditRow::read).collect()
        })
    }
}

const COLUMNS: &str =
    "id, at_ms, actor, action, target_kind, target_id, detail, request_id, address, outcome";

/// Adds a row within a transaction, so that it is there exactly when the change is.
pub(crate) async fn record(tx: &mut Conn, audit: &NewAudit) -> Result<()> {
    insert(tx, audit, Outcome::Done).await.map(drop)
}

/// Its id.
async fn insert(tx: &mut Conn, audit: &NewAudit, outcome: Outcome) -> Result<i64> {
    let now = tx.dialect().now_ms();
    let text = AssertSqlSafe(format!(
        "INSERT INTO audit_log (at_ms, actor, action, target_kind, target_id, detail, request_id, address, outcome) \
         VALUES ({now}, ?, ?, ?, ?, ?, ?, ?, ?)"
    ));
    let address = audit.address.map(|address| address.to_string());
    let detail = if audit.detail.is_empty() { "{}" } else { &audit.detail };
    let done = query(text)
        .bind(audit.actor.map(|actor| actor.0))
        .bind(&audit.action)
        .bind(audit.target.as_ref().map(|target| target.kind.as_str()))
        .bind(audit.target.as_ref().map(|target| target.id.as_str()))
        .bind(detail)
        .bind(audit.request_id.as_deref())
        .bind(address.as_deref())
        .bind(outcome.code())
        .execute(tx)
        .await?;
    Ok(done.last_id)
}

impl AuditRow {
    fn read(row: &Row) -> Result<Self> {
        let target: (Option<String>, Option<String>) = (at(row, "target_kind")?, at(row, "target_id")?);
        let address: Option<String> = at(row, "address")?;
        Ok(Self {
            id: at(row, "id")?,
            at_ms: u64_at(row, "at_ms")?,
            what: NewAudit {
                actor: at::<Option<i64>>(row, "actor")?.map(UserId),
                action: at(row, "action")?,
                target: target.0.zip(target.1).map(|(kind, id)| AuditTarget { kind, id }),
                detail: at(row, "detail")?,
                request_id: at(row, "request_id")?,
                address: address.and_then(|address| address.parse().ok()),
            },
            outcome: Outcome::of_code(at(row, "outcome")?)?,
        })
    }
}
