//! `GET /users/me` and `PATCH /users/me/password`.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use spike_domain::Revoked;
use spike_domain::clock::rfc3339;
use spike_store::UserRow;

use super::password_policy::{PASSWORD_CHARS, new_password};
use super::{Answer, Control, Fields, Identity, Origin, Result, credentials, sessions};

/// The account behind the token.
pub(super) async fn me(State(control): State<Arc<Control>>, identity: Identity) -> Result<Answer> {
    let account = identity.account(&control).await?;
    Ok(Answer::ok(user_view(&account)))
}

/// Body: `old_password`, `new_password`. Ends every session of the account and answers a new one. A wrong old password counts
/// as a failed login.
pub(super) async fn change_password(
    State(control): State<Arc<Control>>,
    identity: Identity,
    origin: Origin,
    mut body: Fields,
) -> Result<Answer> {
    let account = identity.account(&control).await?;
    let old = body.text("old_password", 1..=*PASSWORD_CHARS.end());
    let new = new_password(&mut body, "new_password", &account.email);
    if new == old && !new.is_empty() {
        body.wrong::<()>("new_password", "must not be the old one");
    }
    body.finish()?;
    let account = credentials::check(&control, &account.email, old, &origin).await?;
    let hash = control.passwords.hash(new).await?;
    let (auth, (new, token)) = (&control.config.auth, sessions::fresh(&control, &account, &origin));
    let revoke = sessions::revoke(auth, Revoked::Password, sessions::by(&origin, Some(account.id)));
    let started = control.store.set_password(new, &hash, &sessions::rules(auth), &revoke).await?;
    Ok(Answer::ok(sessions::started(&control, &account, &token, started)))
}

/// An account as its owner sees it.
pub(super) fn user_view(account: &UserRow) -> Value {
    json!({
        "id": account.id,
        "email": account.email,
        "name": account.name,
        "role": account.role,
        "created_at": rfc3339(account.created_at_ms),
    })
}
