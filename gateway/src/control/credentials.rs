//! The one way from an e-mail and a password to an account: whether it may be tried now, whether it is right, and what
//! is remembered of it.

use spike_domain::Reason;
use spike_store::UserRow;

use super::{Attempt, Control, Origin, Refusal, Result, email, network};

/// The account whose password this is, not disabled. An unknown account, a wrong password and a disabled account are the
/// same refusal after the same work.
///
/// Errors: 401 `invalid-credentials`; 429 with the seconds to wait, before any work is done; 503 when too many passwords
/// wait to be checked.
pub(super) async fn check(
    control: &Control,
    given: &str,
    password: String,
    origin: &Origin,
) -> Result<UserRow> {
    let address = email::normalise(given);
    // Text that is no address is counted as itself: it is as unknown as an address without an account.
    let counted = address.clone().unwrap_or_else(|| given.trim().to_lowercase());
    let attempt = admit(control, &counted, &password, origin).await?;
    match verify(control, address.as_deref(), password).await {
        Ok(Some(account)) => {
            attempt.succeeded();
            Ok(account)
        }
        Ok(None) => {
            drop(attempt);
            Err(Refusal::new(Reason::InvalidCredentials))
        }
        Err(refusal) => {
            attempt.withdrawn();
            Err(refusal)
        }
    }
}

/// Lets an address make an account. Errors: 429 with the seconds to wait.
pub(super) fn admit_registration(control: &Control, origin: &Origin) -> Result<()> {
    control.logins.register(origin.address, control.now_ms()).map_err(Refusal::wait)
}

/// Counts a refresh token that was none against the address that sent it. Errors: 429 with the seconds to wait, when there
/// were too many.
pub(super) fn count_refused_token(control: &Control, origin: &Origin) -> Result<()> {
    control.logins.refused_token(origin.address, control.now_ms()).map_err(Refusal::wait)
}

async fn admit(control: &Control, counted: &str, password: &str, origin: &Origin) -> Result<Attempt> {
    let (logins, now_ms) = (&control.logins, control.now_ms());
    let wait = match logins.admit(counted, password, origin.address, now_ms) {
        Ok(attempt) => return Ok(attempt),
        Err(wait) => wait,
    };
    if wait.ask && origin.address.is_some() {
        let here = network(origin.address);
        let addresses = control.store.addresses_of(counted).await?;
        let known = addresses.into_iter().any(|address| network(Some(address)) == here);
        logins.answered(counted, origin.address, known, now_ms);
        if known {
            return logins
                .admit(counted, password, origin.address, now_ms)
                .map_err(|wait| Refusal::wait(wait.ms));
        }
    }
    Err(Refusal::wait(wait.ms))
}

async fn verify(control: &Control, address: Option<&str>, password: String) -> Result<Option<UserRow>> {
    let account = match address {
        Some(address) => control.store.user_by_email(address).await?,
        None => None,
    };
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let matches = control.passwords.verify(password.clone(), hash).await?;
    let Some(mut account) = account.filter(|account| matches && !account.disabled) else { return Ok(None) };
    if control.passwords.outgrown(&account.password_hash) {
        rehash(control, &mut account, password).await;
    }
    Ok(Some(account))
}

/// Hashes with today's parameters, while the password is at hand. Where that fails the next login tries again.
async fn rehash(control: &Control, account: &mut UserRow, password: String) {
    let Ok(hash) = control.passwords.hash(password).await else { return };
    match control.store.rehash_password(account.id, &account.password_hash, &hash).await {
        Ok(true) => account.password_hash = hash,
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, user = %account.id, "a password was not hashed again"),
    }
}
