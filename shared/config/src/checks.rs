//! What no single setting can know: values that contradict each other, and secrets that are public.

use crate::reader::{Reader, env_name};
use crate::token_key::{Ed25519Seed, RetiredKeyKind, TokenAlgorithm, private_half_is_public};
use crate::{Backend, Config, Profile, Secret};

/// Shortest secret that prod takes: as long as the output of the HMAC it keys (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Passwords that everybody knows: ours by default, and RabbitMQ's.
const PUBLIC_PASSWORDS: [&str; 2] = ["spike", "guest"];

/// Refuses values that do not fit beside each other.
pub(crate) fn consistency(config: &Config, reader: &mut Reader) {
    let trusts_nobody = config.http.trusted_proxies.is_empty();
    reader.require(
        !(trusts_nobody && config.http.client_ip_header.is_some()),
        "http.client_ip_header",
        &["http.trusted_proxies"],
        "empty while http.trusted_proxies is empty: anybody could write the header",
    );
    reader.require(
        !(trusts_nobody && config.http.proxy_protocol),
        "http.proxy_protocol",
        &["http.trusted_proxies"],
        "false while http.trusted_proxies is empty: anybody could open with one",
    );
    reader.require(
        config.http.listen != config.http.ops_listen || config.http.listen.port() == 0,
        "http.ops_listen",
        &["http.listen"],
        "another address than http.listen",
    );
    reader.require(
        config.hot.reserve_batch_max <= config.amqp.message_orders_max,
        "hot.reserve_batch_max",
        &["amqp.message_orders_max"],
        &format!("at most amqp.message_orders_max, {}", config.amqp.message_orders_max),
    );
    reader.require(
        config.database.connections_min <= config.database.connections_max,
        "database.connections_min",
        &["database.connections_max"],
        &format!("at most database.connections_max, {}", config.database.connections_max),
    );
    reader.require(
        config.payments.timeout_ms < config.http.request_timeout_ms,
        "payments.timeout_ms",
        &["http.request_timeout_ms"],
        &format!("less than http.request_timeout_ms, {}", config.http.request_timeout_ms),
    );
    reader.require(
        config.payments.give_up_after_ms > config.payments.timeout_ms,
        "payments.give_up_after_ms",
        &["payments.timeout_ms"],
        &format!("more than payments.timeout_ms, {}", config.payments.timeout_ms),
    );
    reader.require(
        config.relay.republish_after_ms > config.relay.claim_idle_ms,
        "relay.republish_after_ms",
        &["relay.claim_idle_ms"],
        &format!("more than relay.claim_idle_ms, {}", config.relay.claim_idle_ms),
    );
    reader.require(
        config.relay.enabled || !config.amqp.url.is_embedded(),
        "relay.enabled",
        &["amqp.url"],
        "true while amqp.url is empty: nobody else can read this process's outboxes",
    );
    token_keys(config, reader);
}

fn token_keys(config: &Config, reader: &mut Reader) {
    let auth = &config.auth;
    reader.require(
        auth.algorithm != TokenAlgorithm::EdDsa || auth.private_key.is_some(),
        "auth.private_key",
        &["auth.algorithm"],
        "an Ed25519 private key while auth.algorithm is EdDSA",
    );
    let mut names: Vec<_> = auth.retired_keys.iter().map(|retired| retired.id.as_str()).collect();
    names.push(&auth.key_id);
    names.sort_unstable();
    reader.require(
        names.windows(2).all(|pair| pair[0] != pair[1]),
        "auth.retired_keys",
        &["auth.key_id"],
        "names that differ from each other and from auth.key_id",
    );
}

/// Refuses public and short secrets in prod; elsewhere says what prod would refuse (dev is left in peace).
pub(crate) fn secrets(config: &Config, reader: &mut Reader) -> Vec<String> {
    let auth = &config.auth;
    let default = reader.default_text("auth.secret");
    let weak = |secret: &Secret| secret.expose() == default || secret.expose().len() < SECRET_BYTES_MIN;
    let weak_retired = |key: &RetiredKeyKind| match key {
        RetiredKeyKind::Hs256(secret) => weak(secret),
        RetiredKeyKind::EdDsa(public) => private_half_is_public(public),
        RetiredKeyKind::EdDsaPrivate(seed) => seed.is_public(),
    };
    let public_password = reader.default_text("admin.password");
    let callbacks = &config.payments.callback_secret;
    let public_callbacks = reader.default_text("payments.callback_secret");
    let is_public = |part: &Backend| {
        let password = part.server().and_then(|url| url.password.as_ref());
        password.is_some_and(|password| PUBLIC_PASSWORDS.contains(&password.expose()))
    };
    let findings = [
        (
            auth.algorithm == TokenAlgorithm::Hs256 && weak(&auth.secret),
            "auth.secret",
            "a secret of your own of at least 32 bytes, such as the output of `openssl rand -hex 32`",
        ),
        (
            config.admin.email.is_some() && config.admin.password.expose() == public_password,
            "admin.password",
            "a password of your own, or an empty admin.email",
        ),
        (
            auth.private_key.as_ref().is_some_and(Ed25519Seed::is_public),
            "auth.private_key",
            "a key of your own, such as the output of `openssl genpkey -algorithm ed25519`",
        ),
        (
            auth.retired_keys.iter().any(|retired| weak_retired(&retired.key)),
            "auth.retired_keys",
            "keys that were your own: secrets of at least 32 bytes, and no example of a standard",
        ),
        (
            callbacks.expose() == public_callbacks || callbacks.expose().len() < SECRET_BYTES_MIN,
            "payments.callback_secret",
            "a secret of your own of at least 32 bytes, such as the output of `openssl rand -hex 32`",
        ),
        (is_public(&config.amqp.url), "amqp.url", "a password that is not a well-known default"),
        (is_public(&config.database.url), "database.url", "a password that is not a well-known default"),
        (is_public(&config.redis.url), "redis.url", "a password that is not a well-known default"),
    ];
    let mut warnings = Vec::new();
    for (found, key, allowed) in findings.into_iter().filter(|(found, ..)| *found) {
        match config.profile {
            Profile::Prod => {
                reader.require(!found, key, &["profile", "admin.email"], &format!("in prod {allowed}"));
            }
            Profile::Staging => {
                warnings.push(format!("{}: prod would demand {allowed}", env_name(key)));
            }
            Profile::Dev => {}
        }
    }
    warnings
}
