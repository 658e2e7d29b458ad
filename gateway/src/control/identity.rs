//! Who is asking, and which thing of ours the path names.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use spike_domain::{Reason, Role, UserId};
use spike_store::UserRow;

use super::Control;
use super::refusal::{Refusal, Result};
use crate::tokens::{Access, bearer};

/// A request with a valid access token; the guard of its route has made sure.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who.
    pub user: UserId,
    /// What the token says.
    pub claims: Access,
}

/// A request of an administrator; the guard has asked the database too.
#[derive(Debug, Clone)]
pub struct Admin(pub Identity);

/// One id of the path. Text that is no id names nothing: 404.
#[derive(Debug, Clone, Copy)]
pub struct Named<T>(pub T);

/// Two ids of the path.
#[derive(Debug, Clone, Copy)]
pub struct NamedPair<A, B>(pub A, pub B);

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.get().cloned().ok_or_else(|| Refusal::internal(UNGUARDED))
    }
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let identity = Identity::from_request_parts(parts, state).await?;
        match identity.claims.role {
            Role::Admin => Ok(Self(identity)),
            Role::User => Err(Refusal::internal(UNGUARDED)),
        }
    }
}

/// A handler that wants more than its row of the table demands.
const UNGUARDED: &str = "this route's row in the table lets anybody in, its handler does not";

impl Identity {
    /// Who sends a request with these headers. Errors: 401 without one valid access token; 503 while this process does not
    /// know yet what has been revoked.
    pub(super) fn of(headers: &HeaderMap, control: &Control) -> Result<Self> {
        let token = bearer(headers).ok_or_else(unauthorized)?;
        if !control.tokens.revocations().loaded() {
            return Err(Refusal::new(Reason::Recovering));
        }
        let claims = control.tokens.authenticate(token, control.now_s()).ok_or_else(unauthorized)?;
        Ok(Self { user: claims.user, claims })
    }

    /// The same of a token that may be revoked already, for who wants to make sure that it is.
    pub(super) fn even_revoked(headers: &HeaderMap, control: &Control) -> Result<Self> {
        let token = bearer(headers).ok_or_else(unauthorized)?;
        let claims = control.tokens.verify(token, control.now_s()).ok_or_else(unauthorized)?;
        Ok(Self { user: claims.user, claims })
    }

    /// The account as it is now, in the database. Errors: 401 when it is gone or disabled, or the session is over, or has
    /// gone on to a newer token.
    pub async fn account(&self, control: &Control) -> Result<UserRow> {
        let Access { sid, ver, role, .. } = self.claims;
        let account = control.store.account_in_session(self.user, sid, ver, role).await?;
        account.filter(|account| !account.disabled).ok_or_else(unauthorized)
    }
}

impl<S: Send + Sync, T: FromStr<Err: Display>> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text: String = path(parts, state).await?;
        Ok(Self(id(&text)?))
    }
}

impl<S, A, B> FromRequestParts<S> for NamedPair<A, B>
where
    S: Send + Sync,
    A: FromStr<Err: Display>,
    B: FromStr<Err: Display>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let (first, second): (String, String) = path(parts, state).await?;
        Ok(Self(id(&first)?, id(&second)?))
    }
}

fn unauthorized() -> Refusal {
    Refusal::new(Reason::Unauthorized)
}

async fn path<S: Send + Sync, T: DeserializeOwned + Send>(parts: &mut Parts, state: &S) -> Result<T> {
    let Path(value) =
        Path::from_request_parts(parts, state).await.map_err(|_| Refusal::new(Reason::NotFound))?;
    Ok(value)
}

fn id<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Refusal::new(Reason::NotFound))
}
