//! The administrator of an installation that has none: made at the start, from the settings. And the one that a start in
//! dev has made with the password that everybody knows, which prod does not serve beside.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use spike_config::{AdminConfig, Config, Profile};
use spike_domain::Role;
use spike_gateway::control::{check_new_password, hash_now, normalise_email, verify_now};
use spike_store::{NewUser, Store};
use tokio::time::{sleep, timeout};

use crate::outcome::Misuse;

/// How long a start waits for the first word of a database that may be away.
const FIRST_WORD_MAX: Duration = Duration::from_secs(5);
/// The longest rest between two attempts at a database that does not answer or has no tables yet.
const REST_MAX: Duration = Duration::from_secs(30);

/// Refuses settings with which the account could never log in.
///
/// # Errors
/// `Misuse`, naming the setting.
pub fn check(config: &Config) -> anyhow::Result<()> {
    let Some(email) = &config.admin.email else { return Ok(()) };
    if normalise_email(email).is_none() {
        return Err(
            Misuse(format!("SPIKE_ADMIN_EMAIL is {email:?}; allowed: an e-mail address, or empty")).into()
        );
    }
    check_new_password(config.admin.password.expose(), email)
        .map_err(|weak| Misuse(format!("SPIKE_ADMIN_PASSWORD {weak}")).into())
}

/// In prod, returns only when an account that can log in has the public default password, with what to do about it. A
/// database that is away is asked until it answers.
pub async fn refuse_public(config: &Config, store: &Store) -> anyhow::Error {
    if config.profile != Profile::Prod {
        return std::future::pending().await;
    }
    let mut rest = Duration::from_millis(500);
    loop {
        match public_account(config, store).await {
            Ok(Some(email)) => return still_public(&email).into(),
            Ok(None) => return std::future::pending().await,
            Err(error) => {
                tracing::info!(error = format!("{error:#}"), "cannot look for the default administrator yet");
            }
        }
        sleep(rest).await;
        rest = (rest * 2).min(REST_MAX);
    }
}

/// The same once, before a port is bound, for as long as a start may wait for a database.
///
/// # Errors
/// `Misuse`, naming the account.
pub async fn check_public(config: &Config, store: &Store) -> anyhow::Result<()> {
    if config.profile != Profile::Prod {
        return Ok(());
    }
    match timeout(FIRST_WORD_MAX, public_account(config, store)).await {
        Ok(Ok(Some(email))) => Err(still_public(&email).into()),
        // Away, or slow: the gateway serves, and looks again beside that.
        Ok(Ok(None) | Err(_)) | Err(_) => Ok(()),
    }
}

fn still_public(email: &str) -> Misuse {
    Misuse(format!(
        "the account {email} still has the default password, which everybody knows, and SPIKE_PROFILE is prod; make \
         another administrator with `spike admin create-user --role admin`, then close this account with \
         `spike admin disable-user --email {email}`"
    ))
}

/// The e-mail of an account that can log in with the public default password: the default one, or the one of the settings.
async fn public_account(config: &Config, store: &Store) -> anyhow::Result<Option<String>> {
    let (default, password) = AdminConfig::public();
    let mut emails = vec![default];
    emails.extend(config.admin.email.clone().filter(|email| *email != emails[0]));
    for email in emails {
        let account = store.user_by_email(&email).await?.filter(|account| !account.disabled);
        let Some(account) = account else { continue };
        let given = password.clone();
        let verify = move || verify_now(given.expose(), &account.password_hash);
        if tokio::task::spawn_blocking(verify).await.context("looking at a password")? {
            return Ok(Some(email));
        }
    }
    Ok(None)
}

/// Makes the account unless there is an administrator. A database that is away is waited for: the gateway serves meanwhile.
pub async fn ensure(config: Arc<Config>, store: Store) {
    let Some(email) = config.admin.email.clone() else { return };
    let mut rest = Duration::from_millis(500);
    loop {
        match make(&config, &store, &email).await {
            Ok(true) => {
                return tracing::warn!(%email, "there was no administrator: made one with the password of the settings");
            }
            Ok(false) => return,
            Err(error) => {
                tracing::info!(error = format!("{error:#}"), "cannot look for an administrator yet");
            }
        }
        sleep(rest).await;
        rest = (rest * 2).min(REST_MAX);
    }
}

async fn make(config: &Arc<Config>, store: &Store, email: &str) -> anyhow::Result<bool> {
    if store.has_admin().await? {
        return Ok(false);
    }
    let settings = config.clone();
    let hash = move || hash_now(&settings.auth, settings.admin.password.expose());
    let password_hash = tokio::task::spawn_blocking(hash).await.context("hashing the password")??;
    let name = email.split('@').next().unwrap_or_default().to_owned();
    let admin = NewUser { email: email.to_owned(), name, password_hash, role: Role::Admin };
    Ok(store.create_first_admin(admin).await?.is_some())
}
