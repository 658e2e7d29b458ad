//! The administrator of an installation that has none: made at the start, from the settings.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use spike_config::Config;
use spike_domain::Role;
use spike_gateway::control::{check_new_password, hash_now, normalise_email};
use spike_store::{NewUser, Store};
use tokio::time::sleep;

use crate::outcome::Misuse;

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
