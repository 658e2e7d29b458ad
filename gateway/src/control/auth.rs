//! `POST /auth/register` and `POST /auth/login`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::State;
use spike_domain::Role;
use spike_store::NewUser;

use super::password_policy::{PASSWORD_CHARS, new_password};
use super::{Answer, Control, Fields, Origin, Refusal, Result, credentials, email, sessions};

/// Characters of a name.
pub(super) const NAME_CHARS: RangeInclusive<usize> = 1..=200;
/// Characters of an e-mail with the blanks that are trimmed.
pub(super) const EMAIL_CHARS: RangeInclusive<usize> = 3..=300;

/// Body: `email`, `password`, `name` (optional: the part before the `@`). 201 with a token, as if logged in.
pub(super) async fn register(
    State(control): State<Arc<Control>>,
    origin: Origin,
    mut body: Fields,
) -> Result<Answer> {
    let given = body.text("email", EMAIL_CHARS);
    let address = email::normalise(&given);
    if address.is_none() && !given.is_empty() {
        body.wrong::<()>("email", "must be an e-mail address");
    }
    let password = new_password(&mut body, "password", &given);
    let name = body.optional_text("name", NAME_CHARS);
    body.finish()?;
    let address = address.ok_or_else(|| Refusal::field("email", "must be an e-mail address"))?;
    credentials::admit_registration(&control, &origin)?;
    let name = name.unwrap_or_else(|| address.split('@').next().unwrap_or_default().to_owned());

    let password_hash = control.passwords.hash(password).await?;
    let user = NewUser { email: address, name, password_hash, role: Role::User };
    Ok(Answer::created("/api/v1/users/me", sessions::register(&control, user, &origin).await?))
}

/// Body: `email`, `password`. A wrong password, an unknown account and a disabled one get the same answer after the same
/// work; too many of them are told to wait.
pub(super) async fn login(
    State(control): State<Arc<Control>>,
    origin: Origin,
    mut body: Fields,
) -> Result<Answer> {
    let address = body.text("email", EMAIL_CHARS);
    let password = body.text("password", 1..=*PASSWORD_CHARS.end());
    body.finish()?;
    let account = credentials::check(&control, &address, password, &origin).await?;
    Ok(Answer::ok(sessions::start(&control, &account, &origin).await?))
}
