//! A change of password: the hash, the version that logins under way are held against, the end of every session and the
//! start of the one that goes on, all in one transaction.

use sqlx::AssertSqlSafe;

use crate::query::query;
use crate::sessions::{NewSession, NewlyStarted, Revoke, SessionRules, create_session_in, revoke_all_of};
use crate::transaction::transact;
use crate::{Conflict, Result, Store, StoreError};

impl Store {
    /// Replaces the password hash of the account of `new`, whose `token_version` must still be the one given there, raises
    /// that by one, ends every session and starts this one: all of it or, where the answer is an error, nothing. The sessions
    /// that ended are [`NewlyStarted::ended`]. Errors: `Conflict(Other)` when the account has changed since, is disabled or
    /// gone.
    pub async fn set_password(
        &self,
        new: NewSession,
        password_hash: &str,
        rules: &SessionRules,
        revoke: &Revoke,
    ) -> Result<NewlyStarted> {
        let (user, token_version) = (new.user, new.token_version);
        let new = NewSession { token_version: token_version.saturating_add(1), ..new };
        let now = self.dialect().now_ms();
        let text = format!(
            "UPDATE users SET password_hash = ?, token_version = token_version + 1, updated_at_ms = {now} \
             WHERE id = ? AND token_version = ? AND disabled = 0"
        );
        transact!(self, |tx| {
            let update =
                query(AssertSqlSafe(text.clone())).bind(password_hash).bind(user.0).bind(token_version);
            let changed = || StoreError::conflict(Conflict::Other);
            if update.execute(tx).await?.rows != 1 {
                return Err(changed());
            }
            let ended = revoke_all_of(tx, user, revoke).await?;
            let started = create_session_in(tx, &new, rules, &revoke.by).await?.ok_or_else(changed)?;
            Ok(NewlyStarted { ended, ..started })
        })
    }
}
