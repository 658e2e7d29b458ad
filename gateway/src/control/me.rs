//! `GET /users/me`.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use spike_domain::clock::rfc3339;
use spike_store::UserRow;

use super::{Answer, Control, Identity, Result};

/// The account behind the token.
pub(super) async fn me(State(control): State<Arc<Control>>, identity: Identity) -> Result<Answer> {
    let account = identity.account(&control).await?;
    Ok(Answer::ok(user_view(&account)))
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
