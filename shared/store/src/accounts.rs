//! Accounts as administrators see and change them, and the first administrator.
//!
//! Lock order: active administrators by id, then the account, then its sessions.

use spike_domain::{Revoked, Role, SessionId, UserId};
use sqlx::AssertSqlSafe;

use crate::audit_log::record;
use crate::backend::Conn;
use crate::query::{Query, query};
use crate::sessions::{Revoke, revoke_all_of};
use crate::sql::{at, offset, u64_at};
use crate::transaction::{read, transact};
use crate::users::{COLUMNS, NewUser, UserRow, normalised, user_in};
use crate::{AuditTarget, Conflict, NewAudit, Page, Result, Store, StoreError};

/// Which accounts; `None` takes all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// What their e-mail begins with, in any case.
    pub email_prefix: Option<String>,
    /// Their role.
    pub role: Option<Role>,
    /// Whether they are disabled.
    pub disabled: Option<bool>,
}

/// What to change of an account; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserChange {
    /// The new role.
    pub role: Option<Role>,
    /// Disabled or not.
    pub disabled: Option<bool>,
    /// The `token_version` the account must have.
    pub version: Option<u32>,
}

/// An account after a change.
#[derive(Debug, Clone)]
pub struct ChangedUser {
    /// As it is now.
    pub row: UserRow,
    /// Whether this call changed it; not when it was so already.
    pub changed: bool,
    /// Sessions that were ended.
    pub ended: Vec<SessionId>,
}

impl Store {
    /// Accounts, newest first; `page` counts from 1.
    pub async fn list_users(&self, filter: &UserFilter, page: u32, page_size: u32) -> Result<Page<UserRow>> {
        let from = filter.email_prefix.as_deref().map(normalised);
        // No e-mail has a character beyond it, so that this is a range of the index.
        let to = from.as_ref().map(|from| format!("{from}\u{10ffff}"));
        let mut conditions = vec!["id > 0"];
        conditions.extend(from.as_ref().map(|_| "email >= ? AND email < ?"));
        conditions.extend(filter.role.map(|_| "role = ?"));
        conditions.extend(filter.disabled.map(|_| "disabled = ?"));
        let matching = conditions.join(" AND ");
        let bound = |text: String| -> Query<'_> {
            let mut query = query(AssertSqlSafe(text));
            if let (Some(from), Some(to)) = (&from, &to) {
                query = query.bind(from).bind(to);
            }
            if let Some(role) = filter.role {
                query = query.bind(role.as_str());
            }
            match filter.disabled {
                Some(disabled) => query.bind(i8::from(disabled)),
                None => query,
            }
        };
        read!(self, |conn| {
            let items =
                format!("SELECT {COLUMNS} FROM users WHERE {matching} ORDER BY id DESC LIMIT ? OFFSET ?");
            let items = bound(items).bind(page_size).bind(offset(page, page_size));
            let rows = items.fetch_all(&mut *conn).await?;
            let count = bound(format!("SELECT COUNT(*) AS total FROM users WHERE {matching}"));
            let total = u64_at(&count.fetch_one(conn).await?, "total")?;
            Ok(Page { items: rows.iter().map(UserRow::read).collect::<Result<_>>()?, total })
        })
    }

    /// Changes role or state of an account, ends all its sessions and records both; nothing happens when it is so already.
    /// `by` says who asks, by which request and from where. Errors: `NotFound`; `Conflict(Version)`;
    /// `Conflict(LastAdministrator)` when no active administrator would be left.
    pub async fn change_user(
        &self,
        user: UserId,
        change: UserChange,
        token_life_ms: u64,
        by: &NewAudit,
    ) -> Result<ChangedUser> {
        let takes_away = change.role == Some(Role::User) || change.disabled == Some(true);
        transact!(self, |tx| {
            let admins = if takes_away { active_admins(tx).await? } else { Vec::new() };
            let old = locked(tx, user).await?;
            if change.version.is_some_and(|version| version != old.token_version) {
                return Err(StoreError::conflict(Conflict::Version));
            }
            let (role, disabled) = (change.role.unwrap_or(old.role), change.disabled.unwrap_or(old.disabled));
            if (role, disabled) == (old.role, old.disabled) {
                return Ok(ChangedUser { row: old, changed: false, ended: Vec::new() });
            }
            if takes_away && admins == [user] {
                return Err(StoreError::conflict(Conflict::LastAdministrator));
            }
            update(tx, user, role, disabled).await?;
            record(tx, &line(&old, role, disabled, by)).await?;
            let why = if disabled { Revoked::Disabled } else { Revoked::Role };
            let ended = revoke_all_of(tx, user, &Revoke { why, token_life_ms, by: by.clone() }).await?;
            let row = user_in(tx, user).await?.ok_or(StoreError::NotFound)?;
            Ok(ChangedUser { row, changed: true, ended })
        })
    }

    /// Whether there is an administrator, disabled or not.
    pub async fn has_admin(&self) -> Result<bool> {
        read!(self, |conn| {
            let any = query("SELECT id FROM users WHERE role = 'admin' LIMIT 1").fetch_optional(conn).await?;
            Ok(any.is_some())
        })
    }

    /// Creates an administrator where there is none at all. `None` when there is one, or an account with this e-mail.
    pub async fn create_first_admin(&self, admin: NewUser) -> Result<Option<UserId>> {
        let email = normalised(&admin.email);
        let now = self.dialect().now_ms();
        let text = format!(
            "INSERT INTO users (email, name, password_hash, role, created_at_ms, updated_at_ms) \
             SELECT ?, ?, ?, 'admin', {now}, {now} FROM (SELECT 1 AS one) AS no_rows \
             WHERE NOT EXISTS (SELECT id FROM users WHERE role = 'admin')"
        );
        let created = transact!(self, |tx| {
            let insert =
                query(AssertSqlSafe(text.clone())).bind(&email).bind(&admin.name).bind(&admin.password_hash);
            let done = insert.execute(tx).await?;
            if done.rows == 0 {
                return Ok(None);
            }
            let id = UserId(done.last_id);
            let target = Some(AuditTarget::new("user", &id));
            record(tx, &NewAudit { action: "user.first-admin".to_owned(), target, ..NewAudit::default() })
                .await?;
            Ok(Some(id))
        });
        match created {
            // Another process was faster, or the e-mail is an ordinary user's.
            Err(StoreError::Conflict { .. }) => Ok(None),
            other => other,
        }
    }
}

/// Administrators who can log in, locked: whoever would take one away waits for whoever is doing so.
async fn active_admins(tx: &mut Conn) -> Result<Vec<UserId>> {
    let lock = tx.dialect().for_update();
    let text = format!("SELECT id FROM users WHERE role = 'admin' AND disabled = 0 ORDER BY id {lock}");
    let rows = query(AssertSqlSafe(text)).fetch_all(tx).await?;
    rows.iter().map(|row| at(row, "id").map(UserId)).collect()
}

async fn locked(tx: &mut Conn, user: UserId) -> Result<UserRow> {
    let text = format!("SELECT {COLUMNS} FROM users WHERE id = ? {}", tx.dialect().for_update());
    let row = query(AssertSqlSafe(text)).bind(user.0).fetch_optional(tx).await?;
    UserRow::read(&row.ok_or(StoreError::NotFound)?)
}

async fn update(tx: &mut Conn, user: UserId, role: Role, disabled: bool) -> Result<()> {
    let now = tx.dialect().now_ms();
    let text = format!(
        "UPDATE users SET role = ?, disabled = ?, token_version = token_version + 1, updated_at_ms = {now} \
         WHERE id = ?"
    );
    query(AssertSqlSafe(text)).bind(role.as_str()).bind(i8::from(disabled)).bind(user.0).execute(tx).await?;
    Ok(())
}

fn line(old: &UserRow, role: Role, disabled: bool, by: &NewAudit) -> NewAudit {
    let detail = format!(
        r#"{{"role":["{}","{}"],"disabled":[{},{disabled}]}}"#,
        old.role.as_str(),
        role.as_str(),
        old.disabled
    );
    NewAudit {
        action: "user.changed".to_owned(),
        target: Some(AuditTarget::new("user", &old.id)),
        detail,
        ..by.clone()
    }
}
