//! Table `users`.

use spike_domain::{Role, UserId};

use crate::{Result, Store};

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
    /// Tokens of an older version are refused.
    pub token_version: u32,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

impl Store {
    /// Creates an account. Errors: `Conflict(Email)`.
    pub async fn create_user(&self, user: NewUser) -> Result<UserId> {
        let _ = user;
        Err(crate::unwritten())
    }

    /// The account of an e-mail, in any case.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRow>> {
        let _ = email;
        Err(crate::unwritten())
    }

    /// The account of an id.
    pub async fn user_by_id(&self, user: UserId) -> Result<Option<UserRow>> {
        let _ = user;
        Err(crate::unwritten())
    }

    /// Creates `count` ordinary users `<prefix>-<number>@load.invalid` who share one password hash, for demos and load
    /// tests. Errors: `Conflict(Email)` when the prefix was used before.
    pub async fn bulk_insert_users(
        &self,
        prefix: &str,
        count: usize,
        password_hash: &str,
    ) -> Result<Vec<UserId>> {
        let _ = (prefix, count, password_hash);
        Err(crate::unwritten())
    }

    /// Changes what a user may do and ends every older token. Errors: `NotFound`.
    pub async fn set_role(&self, user: UserId, role: Role) -> Result<()> {
        let _ = (user, role);
        Err(crate::unwritten())
    }
}
