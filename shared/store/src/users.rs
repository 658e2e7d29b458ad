//! Table `users`.

use std::net::IpAddr;

use spike_domain::{Role, UserId};

use sqlx::AssertSqlSafe;

use crate::audit_log::record;
use crate::backend::{Conn, Row};
use crate::error::duplicate;
use crate::query::query;
use crate::sessions::{NewSession, NewlyStarted, SessionRules, create_session_in};
use crate::sql::{CHUNK, at, u32_at, u64_at};
use crate::transaction::{read, transact};
use crate::{AuditTarget, Conflict, NewAudit, Result, Store, StoreError};

/// An account to create.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Stored trimmed and in lower case; unique in that form.
    pub email: String,
    /// Shown to its owner.
    pub name: String,
    /// PHC string of the password.
    pub password_hash: String,
    /// What the user may do.
    pub role: Role,
}

/// An account.
#[derive(Debug, Clone)]
pub struct UserRow {
    /// The user.
    pub id: UserId,
    /// Normalised e-mail.
    pub email: String,
    /// Shown to its owner.
    pub name: String,
    /// PHC string of the password.
    pub password_hash: String,
    /// What the user may do.
    pub role: Role,
    /// A disabled account cannot log in.
    pub disabled: bool,
    /// Raised with the password, the role and the state of the account: a login that has seen an older one starts no session.
    pub token_version: u32,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

pub(crate) const COLUMNS: &str =
    "id, email, name, password_hash, role, disabled, token_version, created_at_ms";

impl Store {
    /// Creates an account. Errors: `Conflict(Email)`.
    pub async fn create_user(&self, user: NewUser) -> Result<UserId> {
        let users = [NewUser { email: normalised(&user.email), ..user }];
        transact!(self, |tx| { insert(tx, &users).await.map(UserId) })
    }

    /// Creates an account and logs it in, both or neither: `session` is its first one, whose `user` and `token_version`
    /// are filled in. Errors: `Conflict(Email)`.
    pub async fn register(
        &self,
        user: NewUser,
        session: NewSession,
        rules: &SessionRules,
        by: &NewAudit,
    ) -> Result<(UserRow, NewlyStarted)> {
        let users = [NewUser { email: normalised(&user.email), ..user }];
        transact!(self, |tx| {
            let id = insert(tx, &users).await.map(UserId)?;
            let gone = || StoreError::corrupt("an account just created is not there");
            let account = user_in(tx, id).await?.ok_or_else(gone)?;
            let first = NewSession { user: id, token_version: account.token_version, ..session };
            let started = create_session_in(tx, &first, rules, by).await?.ok_or_else(gone)?;
            Ok((account, started))
        })
    }

    /// [`Store::create_user`], recorded in the same transaction: `by` says who asks; action, target and detail are filled in.
    pub async fn create_recorded_user(&self, user: NewUser, by: &NewAudit) -> Result<UserId> {
        let users = [NewUser { email: normalised(&user.email), ..user }];
        transact!(self, |tx| {
            let id = insert(tx, &users).await.map(UserId)?;
            let line = NewAudit {
                action: "user.created".to_owned(),
                target: Some(AuditTarget::new("user", &id)),
                detail: format!(r#"{{"role":"{}"}}"#, users[0].role.as_str()),
                ..by.clone()
            };
            record(tx, &line).await?;
            Ok(id)
        })
    }

    /// The account of an e-mail, in any case.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRow>> {
        let email = normalised(email);
        let text = AssertSqlSafe(format!("SELECT {COLUMNS} FROM users WHERE email = ?"));
        read!(self, |conn| {
            let row = query(text).bind(&email).fetch_optional(conn).await?;
            row.as_ref().map(UserRow::read).transpose()
        })
    }

    /// The account of an id.
    pub async fn user_by_id(&self, user: UserId) -> Result<Option<UserRow>> {
        read!(self, |conn| { user_in(conn, user).await })
    }

    /// Creates `count` ordinary users `<prefix>-<number>@load.invalid` who share one password hash, for demos
    /// and load tests, in batches: after an error some may be there. Errors: `Conflict(Email)` when the
    /// prefix was used before.
    pub async fn bulk_insert_users(
        &self,
        prefix: &str,
        count: usize,
        password_hash: &str,
    ) -> Result<Vec<UserId>> {
        let prefix = normalised(prefix);
        let user = |number: usize| NewUser {
            email: Self::load_email(&prefix, number),
            name: format!("{prefix} {number}"),
            password_hash: password_hash.to_owned(),
            role: Role::User,
        };
        let mut ids = Vec::with_capacity(count);
        for start in (0..count).step_by(CHUNK) {
            let users: Vec<NewUser> = (start..count.min(start + CHUNK)).map(user).collect();
            let (first, last) = (&users[0].email, &users[users.len() - 1].email);
            ids.extend(transact!(self, |tx| {
                insert(tx, &users).await?;
                ids_between(tx, first, last).await
            })?);
        }
        Ok(ids)
    }

    /// The e-mail of user `number`, from 0, that [`Store::bulk_insert_users`] makes with `prefix`.
    pub fn load_email(prefix: &str, number: usize) -> String {
        format!("{}-{number:08}@load.invalid", normalised(prefix))
    }

    /// Replaces a password's hash by another of the same password, unless it has changed meanwhile. Whether it did.
    pub async fn rehash_password(&self, user: UserId, old_hash: &str, new_hash: &str) -> Result<bool> {
        let now = self.dialect().now_ms();
        let text = format!(
            "UPDATE users SET password_hash = ?, updated_at_ms = {now} WHERE id = ? AND password_hash = ?"
        );
        transact!(self, |tx| {
            let query = query(AssertSqlSafe(text.clone())).bind(new_hash).bind(user.0).bind(old_hash);
            Ok(query.execute(tx).await?.rows == 1)
        })
    }

    /// Addresses from which an account has logged in, as far as its sessions remember; at most 100. Empty for an unknown
    /// account.
    pub async fn addresses_of(&self, email: &str) -> Result<Vec<IpAddr>> {
        let email = normalised(email);
        let text = "SELECT DISTINCT sessions.address AS address FROM users JOIN sessions ON sessions.user_id = users.id \
                    WHERE users.email = ? AND sessions.address IS NOT NULL LIMIT 100";
        read!(self, |conn| {
            let rows = query(text).bind(&email).fetch_all(conn).await?;
            let address = |row| at::<String>(row, "address").map(|text| text.parse().ok());
            Ok(rows.iter().map(address).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        })
    }

    /// Changes what a user may do and ends every older token. Errors: `NotFound`.
    pub async fn set_role(&self, user: UserId, role: Role) -> Result<()> {
        let now = self.dialect().now_ms();
        let text = format!(
            "UPDATE users SET role = ?, token_version = token_version + 1, updated_at_ms = {now} WHERE id = ?"
        );
        transact!(self, |tx| {
            let query = query(AssertSqlSafe(text.clone())).bind(role.as_str()).bind(user.0);
            if query.execute(tx).await?.rows == 1 { Ok(()) } else { Err(StoreError::NotFound) }
        })
    }
}

impl UserRow {
    pub(crate) fn read(row: &Row) -> Result<Self> {
        let word: &str = at(row, "role")?;
        let disabled: i8 = at(row, "disabled")?;
        Ok(Self {
            id: UserId(at(row, "id")?),
            email: at(row, "email")?,
            name: at(row, "name")?,
            password_hash: at(row, "password_hash")?,
            role: Role::parse(word).ok_or_else(|| StoreError::corrupt(format!("role {word:?}")))?,
            disabled: disabled != 0,
            token_version: u32_at(row, "token_version")?,
            created_at_ms: u64_at(row, "created_at_ms")?,
        })
    }
}

/// The account of an id, within a transaction or outside of any.
pub(crate) async fn user_in(conn: &mut Conn, user: UserId) -> Result<Option<UserRow>> {
    let text = AssertSqlSafe(format!("SELECT {COLUMNS} FROM users WHERE id = ?"));
    let row = query(text).bind(user.0).fetch_optional(conn).await?;
    row.as_ref().map(UserRow::read).transpose()
}

/// The form in which e-mails are stored, compared and unique.
pub(crate) fn normalised(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Inserts users in one statement; the id of one of them.
async fn insert(tx: &mut Conn, users: &[NewUser]) -> Result<i64> {
    let now = tx.dialect().now_ms();
    let row = format!("(?, ?, ?, ?, {now}, {now})");
    let text = format!(
        "INSERT INTO users (email, name, password_hash, role, created_at_ms, updated_at_ms) VALUES {}",
        vec![row.as_str(); users.len()].join(",")
    );
    let values = query(AssertSqlSafe(text)).persistent(users.len() == CHUNK || users.len() == 1);
    let query = users.iter().fold(values, |query, user| {
        query.bind(&user.email).bind(&user.name).bind(&user.password_hash).bind(user.role.as_str())
    });
    let done = query.execute(tx).await.map_err(|error| match duplicate(&error) {
        true => StoreError::conflict(Conflict::Email),
        false => error.into(),
    })?;
    Ok(done.last_id)
}

/// Ids by e-mail, because servers may be set to leave gaps between the ids of one INSERT.
async fn ids_between(tx: &mut Conn, first: &str, last: &str) -> Result<Vec<UserId>> {
    let text = "SELECT id FROM users WHERE email BETWEEN ? AND ? ORDER BY email";
    let rows = query(text).bind(first).bind(last).fetch_all(tx).await?;
    rows.iter().map(|row| at(row, "id").map(UserId)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_meet_in_one_form() {
        assert_eq!(normalised("  Ada.LOVELACE@Example.ORG "), "ada.lovelace@example.org");
        assert_eq!(normalised("ÉLAN@example.org"), "élan@example.org");
    }
}
