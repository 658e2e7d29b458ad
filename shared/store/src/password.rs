//! A change of password: the hash, the version that logins under way are held against, and the end of every session, all in
//! one transaction.

use spike_domain::{SessionId, UserId};
use sqlx::AssertSqlSafe;

use crate::query::query;
use crate::sessions::{Revoke, revoke_all_of};
use crate::transaction::transact;
use crate::{Conflict, Result, Store, StoreError};

impl Store {
    /// Replaces the password hash of an account whose `token_version` still is the one given, raises that by one and ends
    /// every session. Returns the sessions. Errors: `Conflict(Other)` when the account has changed since, is disabled or gone.
    pub async fn set_password(
        &self,
        user: UserId,
        token_version: u32,
        password_hash: &str,
        revoke: &Revoke,
    ) -> Result<Vec<SessionId>> {
        let now = self.dialect().now_ms();
        let text = format!(
            "UPDATE users SET password_hash = ?, token_version = token_version + 1, updated_at_ms = {now} \
             WHERE id = ? AND token_version = ? AND disabled = 0"
        );
        transact!(self, |tx| {
            let update =
                query(AssertSqlSafe(text.clone())).bind(password_hash).bind(user.0).bind(token_version);
            match update.execute(tx).await?.rows {
                1 => revoke_all_of(tx, user, revoke).await,
                _ => Err(StoreError::conflict(Conflict::Other)),
            }
        })
    }
}
