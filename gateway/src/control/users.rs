//! `/admin/users`: looking at accounts, changing their roles, closing and opening them.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde_json::{Value, json};
use spike_domain::{Reason, Role, UserId};
use spike_store::{ALL_TOKENS, NewAudit, UserChange, UserFilter, UserRow};

use super::me::user_view;
use super::query::Parameters;
use super::recorded::InItsTransaction;
use super::{Admin, Answer, Control, Fields, Named, Origin, PageQuery, Refusal, Result, sessions};

/// Characters of an e-mail's beginning.
const PREFIX_CHARS_MAX: usize = 254;

/// `page`, `page_size` and what to look for: `email` (a beginning), `role`, `disabled`.
#[derive(Debug)]
pub(super) struct UserQuery {
    page: PageQuery,
    filter: UserFilter,
}

impl<S: Sync> FromRequestParts<S> for UserQuery {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut query = Parameters::of(parts)?;
        let page = query.page();
        let email_prefix = query.text("email", PREFIX_CHARS_MAX);
        let role = query.one_of("role", &[("user", Role::User), ("admin", Role::Admin)]);
        let disabled = query.one_of("disabled", &[("true", true), ("false", false)]);
        query.finish(Self { page, filter: UserFilter { email_prefix, role, disabled } })
    }
}

/// Newest first.
pub(super) async fn list(_: Admin, State(control): State<Arc<Control>>, query: UserQuery) -> Result<Answer> {
    let UserQuery { page, filter } = query;
    let found = control.store.list_users(&filter, page.page, page.page_size).await?;
    let items: Vec<Value> = found.items.iter().map(account_view).collect();
    Ok(Answer::ok(page.view(&items, found.total)))
}

/// Body: `role`, `disabled`, at least one of them, and optionally `version`, the one that was read. May be repeated; a
/// change ends every session of the account.
pub(super) async fn change(
    Admin(identity): Admin,
    State(control): State<Arc<Control>>,
    origin: Origin,
    Named(user): Named<UserId>,
    mut body: Fields,
) -> Result<Answer> {
    let role = body.optional_text("role", 1..=16);
    let change = UserChange {
        role: role.as_deref().and_then(Role::parse),
        disabled: body.optional_flag("disabled"),
        version: body.optional_count("version", 0..=u32::MAX),
    };
    if role.is_some() && change.role.is_none() {
        body.wrong::<()>("role", "must be user or admin");
    }
    body.finish()?;
    if change.role.is_none() && change.disabled.is_none() {
        return Err(Refusal::field("role", "is required where disabled is not given"));
    }
    if change.disabled == Some(true) && user == identity.user {
        return Err(Refusal::new(Reason::OwnAccount));
    }
    let by = NewAudit { actor: Some(identity.user), ..origin.audit(None, "", None, &json!({})) };
    let token_life_ms = control.config.auth.token_life_ms();
    let changed = control.store.change_user(user, change, token_life_ms, &by).await?;
    sessions::tell(&control, changed.ended.iter().copied(), ALL_TOKENS);
    let answer = Answer::ok(account_view(&changed.row));
    Ok(if changed.changed { answer.with_extension(InItsTransaction) } else { answer })
}

/// An account as administrators see it.
fn account_view(account: &UserRow) -> Value {
    let mut view = user_view(account);
    view["disabled"] = account.disabled.into();
    view["version"] = account.token_version.into();
    view
}
