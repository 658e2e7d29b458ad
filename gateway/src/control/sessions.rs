//! Sessions: what a login is answered, `POST /auth/refresh` and `POST /auth/logout`.
//!
//! A session's access tokens carry its generation; each refresh starts the next one and revokes those before it. Whatever
//! ends here is in the database when the answer leaves, and every gateway is told to look.

use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use spike_config::AuthConfig;
use spike_domain::{Reason, Revoked, SessionId, UserId};
use spike_store::{
    ALL_TOKENS, NewAudit, NewSession, NewUser, NewlyStarted, Presented, Refreshed, Revoke, SessionRules,
    UserRow,
};

use super::me::user_view;
use super::refresh_token::RefreshToken;
use super::{Answer, Control, Fields, Identity, Origin, Refusal, Result, credentials};

/// Characters of a text that is looked at as a refresh token; ours have 64.
pub(super) const REFRESH_TOKEN_CHARS: std::ops::RangeInclusive<usize> = 1..=4096;

/// Logs an account in whose password has just been checked; the data of the answer.
///
/// Errors: 401 `invalid-credentials` when the account has been disabled, or its password changed, since it was read.
pub(super) async fn start(control: &Arc<Control>, account: &UserRow, origin: &Origin) -> Result<Value> {
    let (new, token) = fresh(control, account, origin);
    let by = by(origin, Some(account.id));
    let started = control.store.create_session(new, &rules(&control.config.auth), &by).await?;
    let started = started.ok_or_else(|| Refusal::new(Reason::InvalidCredentials))?;
    Ok(self::started(control, account, &token, started))
}

/// Makes an account and logs it in, in one transaction; the data of the answer. Errors: 409 `email-taken`.
pub(super) async fn register(control: &Arc<Control>, user: NewUser, origin: &Origin) -> Result<Value> {
    // Whose it is, the store fills in.
    let (new, token) = unowned(control, origin);
    let (rules, by) = (rules(&control.config.auth), by(origin, None));
    let (account, started) = control.store.register(user, new, &rules, &by).await?;
    Ok(self::started(control, &account, &token, started))
}

/// A session to create for an account as it was read, and its first refresh token.
pub(super) fn fresh(control: &Control, account: &UserRow, origin: &Origin) -> (NewSession, RefreshToken) {
    let (new, token) = unowned(control, origin);
    (NewSession { user: account.id, token_version: account.token_version, ..new }, token)
}

fn unowned(control: &Control, origin: &Origin) -> (NewSession, RefreshToken) {
    let id = SessionId::new(control.now_ms());
    let token = RefreshToken::fresh(id);
    let (address, refresh_hash) = (origin.address, token.hash());
    (NewSession { id, user: UserId(0), token_version: 0, address, refresh_hash }, token)
}

/// The data of the answer to whoever has started a session; the sessions that it ended are made known.
pub(super) fn started(
    control: &Arc<Control>,
    account: &UserRow,
    token: &RefreshToken,
    started: NewlyStarted,
) -> Value {
    tell(control, started.ended, ALL_TOKENS);
    session_view(control, account, token, started.generation, started.refresh_expires_in_ms)
}

/// Body: `refresh_token`. 200 with new tokens; the one sent is spent. Sent again within `auth.refresh_retry_s` it is answered
/// with the very same successor, as long as that is not spent; any later use ends the session. Every token that is refused is
/// refused alike, and counted against the address; one that is good is never made to wait.
pub(super) async fn refresh(
    State(control): State<Arc<Control>>,
    origin: Origin,
    mut body: Fields,
) -> Result<Answer> {
    let text = body.text("refresh_token", REFRESH_TOKEN_CHARS);
    body.finish()?;
    let refused = || match credentials::count_refused_token(&control, &origin) {
        Ok(()) => Refusal::new(Reason::InvalidRefreshToken),
        Err(wait) => wait,
    };
    let token = RefreshToken::parse(&text).ok_or_else(refused)?;
    let fresh = RefreshToken::fresh(token.session);
    let presented = Presented {
        session: token.session,
        hash: token.hash(),
        successor: fresh.hash(),
        sealed: token.seal(&fresh),
    };
    let rules = rules(&control.config.auth);
    let (renewed, successor) = match control
        .store
        .refresh_session(&presented, &rules, &by(&origin, None))
        .await?
    {
        Refreshed::Rotated(renewed) => {
            tell(&control, [token.session], renewed.generation);
            (renewed, fresh)
        }
        Refreshed::Repeated { renewed, sealed } => (renewed, token.open(sealed)),
        Refreshed::Reused { user } => {
            tracing::warn!(%user, session = %token.session, "a spent refresh token was used: its session is over");
            tell(&control, [token.session], ALL_TOKENS);
            return Err(refused());
        }
        Refreshed::Refused => return Err(refused()),
    };
    let (generation, expires_in_ms) = (renewed.generation, renewed.refresh_expires_in_ms);
    Ok(Answer::ok(session_view(&control, &renewed.user, &successor, generation, expires_in_ms)))
}

/// Ends the session of the `refresh_token` in the body, or else of the access token. 200 whether or not there was one to end;
/// 401 with neither a refresh token nor a valid access token; 429 where an address has sent too many refresh tokens that end
/// nothing.
pub(super) async fn logout(
    State(control): State<Arc<Control>>,
    origin: Origin,
    headers: HeaderMap,
    LogoutBody(mut body): LogoutBody,
) -> Result<Answer> {
    let text = body.optional_text("refresh_token", REFRESH_TOKEN_CHARS);
    body.finish()?;
    let ended = match text {
        Some(text) => {
            let ended = end_by_token(&control, &text, &origin).await?;
            if ended.is_none() {
                credentials::count_refused_token(&control, &origin)?;
            }
            ended
        }
        None => {
            let identity = Identity::even_revoked(&headers, &control)?;
            let revoke = revoke(&control.config.auth, Revoked::Logout, by(&origin, Some(identity.user)));
            let session = identity.claims.sid;
            control.store.revoke_session(session, &revoke).await?.then_some(session)
        }
    };
    tell(&control, ended, ALL_TOKENS);
    Ok(Answer::ok(Value::Null))
}

/// The session that a refresh token's text has ended.
async fn end_by_token(control: &Control, text: &str, origin: &Origin) -> Result<Option<SessionId>> {
    let Some(token) = RefreshToken::parse(text) else { return Ok(None) };
    let revoke = revoke(&control.config.auth, Revoked::Logout, by(origin, None));
    let ended = control.store.revoke_by_token(token.session, &token.hash(), &revoke).await?;
    Ok(ended.then_some(token.session))
}

/// The fields of a logout; a request without any body is one without fields.
pub(super) struct LogoutBody(Fields);

impl FromRequest<Arc<Control>> for LogoutBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, control: &Arc<Control>) -> Result<Self> {
        let nothing = !request.headers().contains_key(CONTENT_TYPE) && request.body().is_end_stream();
        let fields = match nothing {
            true => Fields::new(Map::new()),
            false => Fields::from_request(request, control).await?,
        };
        Ok(Self(fields))
    }
}

/// How long sessions live, as the store wants to know it.
pub(super) fn rules(auth: &AuthConfig) -> SessionRules {
    SessionRules {
        refresh_ttl_ms: auth.refresh_ttl_s * 1000,
        session_ttl_ms: auth.session_ttl_s * 1000,
        retry_ms: auth.refresh_retry_s * 1000,
        live_max: auth.sessions_per_user_max,
        token_life_ms: auth.token_life_ms(),
    }
}

/// A wish to end sessions.
pub(super) fn revoke(auth: &AuthConfig, why: Revoked, by: NewAudit) -> Revoke {
    Revoke { why, token_life_ms: auth.token_life_ms(), by }
}

/// Who does what follows, for the audit log.
pub(super) fn by(origin: &Origin, actor: Option<UserId>) -> NewAudit {
    origin.audit(actor, "", None, &Value::Null)
}

/// Makes known that tokens of sessions with a smaller `ver` are dead: to this process at once, to the others by a hint that
/// says which, for which the answer does not wait: they look anyway.
pub(super) fn tell(control: &Arc<Control>, sessions: impl IntoIterator<Item = SessionId>, min_ver: u32) {
    let sessions: Vec<_> = sessions.into_iter().collect();
    if sessions.is_empty() {
        return;
    }
    let life_ms = control.config.auth.token_life_ms();
    let news = sessions.iter().map(|session| (*session, min_ver, life_ms));
    control.tokens.revocations().learn(news, Instant::now());
    let ledger = control.ledger.clone();
    tokio::spawn(async move {
        if let Err(error) = ledger.hint_revoked(&sessions, min_ver).await {
            tracing::debug!(%error, "no hint of a revocation");
        }
    });
}

fn session_view(
    control: &Control,
    account: &UserRow,
    refresh: &RefreshToken,
    generation: u32,
    refresh_expires_in_ms: u64,
) -> Value {
    let (session, now_s) = (refresh.session, control.now_s());
    json!({
        "access_token": control.tokens.mint(account.id, account.role, session, generation, now_s),
        "token_type": "Bearer",
        "expires_in": control.tokens.ttl_s(),
        "refresh_token": refresh.text(),
        "refresh_expires_in": refresh_expires_in_ms / 1000,
        "user": user_view(account),
    })
}
