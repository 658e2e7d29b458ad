//! The configuration as its operators see it: every mistake named, secrets unseen, and a manual that cannot lie.

use std::collections::BTreeSet;
use std::path::Path;

mod page;
mod refused;

use crate::layers::{DEFAULTS, leaves};
use crate::{Config, ConfigError, Driver, LogFormat, Profile, Role};

const GOOD_SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The example of RFC 8037, A.1, as a PEM file would hold it.
const EXAMPLE_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

const EXAMPLE_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
    -----END PUBLIC KEY-----\n";

fn with(env: &[(&str, &str)]) -> Result<Config, crate::ConfigErrors> {
    Config::load(None, env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn with_file(text: &str, env: &[(&str, &str)]) -> Result<Config, crate::ConfigErrors> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_layers(Some(("my.toml", text)), env)
}

/// One bad variable gives one error that names it, and shows what it must.
fn check_refused(name: &str, value: &str, shown: &str) {
    let errors = with(&[(name, value)]).expect_err(&format!("{name}={value}"));
    let names: Vec<_> = errors.all().iter().map(ConfigError::name).collect();
    assert_eq!(names, [name], "{name}={value}: {errors}");
    let text = errors.to_string();
    assert!(text.contains(shown), "{name}={value}: {text:?} lacks {shown:?}");
}

#[test]
fn every_bad_value_is_named_with_what_is_allowed() {
    for &(name, value, shown) in refused::VALUES {
        check_refused(name, value, shown);
    }
}

#[test]
fn each_setting_refuses_what_it_is_not() {
    // Settings that take any text; every other one must refuse this word, so that none is read without a check.
    let free = [
        "data.dir",
        "auth.secret",
        "auth.issuer",
        "auth.audience",
        "auth.key_id",
        "admin.password",
        "payments.callback_secret",
        "log.level",
        "http.client_ip_header",
    ];
    for setting in Config::settings().into_iter().filter(|setting| !free.contains(&setting.key.as_str())) {
        check_refused(&setting.env(), "?!", "allowed: ");
    }
}

#[test]
fn all_mistakes_are_told_at_once_one_a_line() {
    let env = [("SPIKE_HTTP_BACKLOG", "x"), ("SPIKE_HOT_PIN", "y"), ("SPIKE_HOT_PINN", "true")];
    let errors = with(&env).expect_err("three mistakes");
    let text = errors.to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.ends_with("SPIKE_HOT_PINN is not a setting; did you mean SPIKE_HOT_PIN?"), "{text}");
}

#[test]
fn a_refused_value_is_not_compared_with_another() {
    let env = [("SPIKE_DATABASE_CONNECTIONS_MAX", "many"), ("SPIKE_DATABASE_CONNECTIONS_MIN", "50")];
    let errors = with(&env).expect_err("one mistake");
    assert_eq!(errors.all().len(), 1, "{errors}");
}

#[test]
fn later_layers_win() {
    let file = "[http]\nbacklog = 100\nbody_bytes_max = 2048\n[hot]\ncores = 3\n";
    let config = with_file(file, &[("SPIKE_HTTP_BACKLOG", "200")]).expect("allowed");
    assert_eq!((config.http.backlog, config.http.body_bytes_max, config.hot.cores), (200, 2048, 3));
    assert_eq!(config.http.connections_max, 20_000);
}

#[test]
fn mistakes_in_a_file_are_named_by_file_and_key() {
    let cases = [
        ("[http]\nbacklog = \"4096\"", "my.toml:http.backlog is \"4096\"; allowed: 1 to 65535"),
        ("[http]\nbaclog = 1", "my.toml:http.baclog is not a setting; did you mean http.backlog?"),
        ("[htp]\nlisten = \"127.0.0.1:1\"", "my.toml:htp.listen is not a setting; did you mean http.listen?"),
        ("http = 3", "my.toml:http is not a setting"),
        ("[hot]\ncores = [1]", "my.toml:hot.cores is [1]; allowed: 0 to 1024"),
        (
            "[http]\ntrusted_proxies = [1]",
            "my.toml:http.trusted_proxies is [1]; allowed: a list of addresses",
        ),
        ("[database]\nconnections_min = 20", "my.toml:database.connections_min is 20; allowed: at most"),
        ("[auth]\nsecret = 12345678", "my.toml:auth.secret is ***;"),
        ("[amqp]\nurl = 12345678", "my.toml:amqp.url is ***;"),
        ("[http]\n\nlisten = ", "my.toml:3: not TOML"),
    ];
    for (file, expected) in cases {
        let errors = with_file(file, &[]).expect_err(file);
        assert_eq!(errors.all().len(), 1, "{file}: {errors}");
        assert!(errors.to_string().starts_with(expected), "{file}: {errors}");
    }
}

#[test]
fn a_broken_file_does_not_spill_its_secrets() {
    for file in [
        "[auth]\nsecret = \"hunter2hunter2",
        "[auth]\nsecret = hunter2hunter2",
        "[auth]\nsecret = \"hunter2\" hunter2",
    ] {
        let text = with_file(file, &[]).expect_err(file).to_string();
        assert!(text.starts_with("my.toml:2: ") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn unknown_variables_are_refused_but_not_those_of_others() {
    let strangers = [("PATH", "/bin"), ("SPIKE_TEST_STACK", "x"), ("SPIKE_STACK", "y"), ("SPIKE_CONFIG", "")];
    with(&strangers).expect("none of these is ours");
    let cases = [
        ("SPIKE_REDIS_ULR", "did you mean SPIKE_REDIS_URL?"),
        ("SPIKE_AUTH_SECRT", "did you mean SPIKE_AUTH_SECRET?"),
        ("SPIKE_COMPLETELY_DIFFERENT_THING", "is not a setting"),
    ];
    for (name, shown) in cases {
        let text = with(&[(name, "hunter2")]).expect_err(name).to_string();
        assert!(text.starts_with(name) && text.ends_with(shown) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_file_is_found_by_argument_or_by_variable() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spike.toml");
    std::fs::write(&path, "[hot]\ncores = 5\n").expect("written");
    let named = path.to_str().expect("UTF-8");
    assert_eq!(Config::load(Some(&path), []).expect("allowed").hot.cores, 5);
    assert_eq!(with(&[("SPIKE_CONFIG", named)]).expect("allowed").hot.cores, 5);

    let missing = folder.path().join("missing.toml");
    let errors =
        Config::load(Some(&missing), [("SPIKE_CONFIG".to_owned(), named.to_owned())]).expect_err("missing");
    assert_eq!(Path::new(errors.all()[0].name()), missing, "the argument wins over the variable");
}

#[test]
fn prod_refuses_public_and_short_secrets_and_staging_warns() {
    let own = [
        ("SPIKE_AUTH_SECRET", GOOD_SECRET),
        ("SPIKE_ADMIN_PASSWORD", "a password of our own"),
        ("SPIKE_PAYMENTS_CALLBACK_SECRET", GOOD_SECRET),
        ("SPIKE_AMQP_URL", "amqp://shop:correct-horse@queue.example/shop"),
        ("SPIKE_DATABASE_URL", "mysql://shop:battery-staple@db.example/shop"),
    ];
    let prod: Vec<_> = own.iter().copied().chain([("SPIKE_PROFILE", "prod")]).collect();
    let config = with(&prod).expect("nothing public in it");
    assert_eq!((config.profile, config.log.format), (Profile::Prod, LogFormat::Json));
    assert!(config.warnings.is_empty());

    let public = [
        ("SPIKE_AUTH_SECRET", &GOOD_SECRET[1..]),
        ("SPIKE_AUTH_SECRET", "spike-development-secret-not-for-production"),
        ("SPIKE_ADMIN_PASSWORD", "spike-development-admin"),
        ("SPIKE_PAYMENTS_CALLBACK_SECRET", &GOOD_SECRET[1..]),
        ("SPIKE_PAYMENTS_CALLBACK_SECRET", "spike-development-callbacks-not-for-production"),
        ("SPIKE_AMQP_URL", "amqp://guest:guest@queue.example"),
        ("SPIKE_AMQP_URL", "amqp://shop:own@queue-1.example,amqp://guest:guest@queue-2.example"),
        ("SPIKE_DATABASE_URL", "mysql://spike:spike@db.example/spike"),
        ("SPIKE_REDIS_URL", "redis://:spike@cache.example"),
    ];
    for (name, value) in public {
        let mut env: Vec<_> =
            prod.iter().copied().filter(|(own, _)| *own != name).chain([(name, value)]).collect();
        let errors = with(&env).expect_err(name);
        let names: Vec<_> = errors.all().iter().map(ConfigError::name).collect();
        let text = errors.to_string();
        assert_eq!(names, [name], "{text}");
        assert!(text.contains("***") && text.contains("in prod") && !text.contains(value), "{text}");

        env.retain(|(name, _)| *name != "SPIKE_PROFILE");
        assert!(with(&env).expect("dev takes it").warnings.is_empty());
        env.push(("SPIKE_PROFILE", "staging"));
        let warnings = with(&env).expect("staging takes it").warnings;
        assert!(warnings.len() == 1 && warnings[0].starts_with(name), "{warnings:?}");
    }
    let weak = [
        ("SPIKE_AUTH_RETIRED_KEYS", "old=HS256:short".to_owned(), "your own"),
        (
            "SPIKE_AUTH_RETIRED_KEYS",
            "old=HS256:spike-development-secret-not-for-production".to_owned(),
            "your own",
        ),
        ("SPIKE_AUTH_RETIRED_KEYS", format!("old=EdDSA:{EXAMPLE_KEY}"), "your own"),
        ("SPIKE_AUTH_RETIRED_KEYS", format!("old=EdDSA:{EXAMPLE_PUBLIC_KEY}"), "your own"),
        ("SPIKE_AUTH_PRIVATE_KEY", EXAMPLE_KEY.to_owned(), "a key of your own"),
    ];
    for (name, value, shown) in weak {
        let env: Vec<_> = prod.iter().copied().chain([(name, value.as_str())]).collect();
        let text = with(&env).expect_err(name).to_string();
        assert!(text.contains(name) && text.contains(shown) && !text.contains(&value), "{text}");
    }
}

#[test]
fn prod_with_nothing_set_names_what_is_public() {
    // The embedded parts have no password to be public.
    let errors = with(&[("SPIKE_PROFILE", "prod")]).expect_err("the default is public");
    let names: Vec<_> = errors.all().iter().map(ConfigError::name).collect();
    assert_eq!(
        names,
        ["SPIKE_AUTH_SECRET", "SPIKE_ADMIN_PASSWORD", "SPIKE_PAYMENTS_CALLBACK_SECRET"],
        "{errors}"
    );
    let nobody = [
        ("SPIKE_PROFILE", "prod"),
        ("SPIKE_AUTH_SECRET", GOOD_SECRET),
        ("SPIKE_PAYMENTS_CALLBACK_SECRET", GOOD_SECRET),
        ("SPIKE_ADMIN_EMAIL", ""),
    ];
    assert_eq!(with(&nobody).expect("no administrator is made").admin.email, None);
}

#[test]
fn how_much_is_traced_goes_by_the_profile_unless_it_is_said() {
    let ratio = |env: &[(&str, &str)]| with(env).expect("allowed").telemetry.sample_ratio;
    assert_eq!((ratio(&[]), ratio(&[("SPIKE_PROFILE", "staging")])), (1.0, 0.1));
    assert_eq!(ratio(&[("SPIKE_TELEMETRY_SAMPLE_RATIO", "0.25")]), 0.25);
    let prod = "profile = \"prod\"\n[auth]\nsecret = \"0123456789abcdef0123456789abcdef\"\n[admin]\nemail = \"\"\n\
                [payments]\ncallback_secret = \"0123456789abcdef0123456789abcdef\"\n";
    assert_eq!(with_file(prod, &[]).expect("allowed").telemetry.sample_ratio, 0.01);
    for (value, ratio) in [("1", 1.0), ("0.5", 0.5), ("\"auto\"", 1.0), ("\"0.5\"", 0.5)] {
        let file = format!("[telemetry]\nsample_ratio = {value}\n");
        assert_eq!(with_file(&file, &[]).expect(value).telemetry.sample_ratio, ratio, "{value}");
    }
    let endpoint = |url| with(&[("SPIKE_TELEMETRY_OTLP_ENDPOINT", url)]).expect(url).telemetry.otlp_endpoint;
    assert!(endpoint("").is_none() && endpoint("http://127.0.0.1:4318").is_some());
}

#[test]
fn eddsa_needs_its_key_and_no_secret() {
    check_refused("SPIKE_AUTH_ALGORITHM", "RS256", "HS256 or EdDSA");
    let errors = with(&[("SPIKE_AUTH_ALGORITHM", "EdDSA")]).expect_err("no key");
    assert_eq!(errors.all()[0].name(), "SPIKE_AUTH_PRIVATE_KEY", "{errors}");
    let own = EXAMPLE_KEY.replace("IJ1h", "IJ1i");
    let env = [
        ("SPIKE_PROFILE", "prod"),
        ("SPIKE_ADMIN_EMAIL", ""),
        ("SPIKE_AUTH_ALGORITHM", "EdDSA"),
        ("SPIKE_AUTH_PRIVATE_KEY", own.as_str()),
        ("SPIKE_AUTH_RETIRED_KEYS", "old=HS256:0123456789abcdef0123456789abcdef"),
        ("SPIKE_PAYMENTS_CALLBACK_SECRET", GOOD_SECRET),
        ("SPIKE_ADMIN_EMAIL", ""),
    ];
    let auth = with(&env).expect("a key of one's own").auth;
    assert!(auth.private_key.is_some() && auth.retired_keys[0].id == "old");
    assert!(!format!("{auth:?}").contains("0123456789abcdef"), "{auth:?}");
}

#[test]
fn two_processes_need_servers_and_one_needs_none() {
    let servers = [
        ("SPIKE_REDIS_URL", "redis://cache.example"),
        ("SPIKE_AMQP_URL", "amqp://queue.example"),
        ("SPIKE_DATABASE_URL", "mysql://shop@db.example/shop"),
    ];
    for missing in 0..8 {
        let here: Vec<_> = (0..3).filter(|at| missing & (1 << at) == 0).map(|at| servers[at]).collect();
        let config = with(&here).expect("allowed");
        config.check_role(Role::Serve).expect("one process takes any combination");
        for (role, word) in [(Role::Gateway, "spike gateway"), (Role::Worker, "spike worker")] {
            let errors = config.check_role(role).map_or_else(|errors| errors.all().to_vec(), |()| Vec::new());
            let names: Vec<_> = errors.iter().map(ConfigError::name).collect();
            let wanted: Vec<_> =
                (0..3).filter(|at| missing & (1 << at) != 0).map(|at| servers[at].0).collect();
            assert_eq!(names, wanted);
            for error in &errors {
                let text = error.to_string();
                assert!(text.contains(word) && text.contains("spike serve"), "{text}");
            }
        }
    }
}

#[test]
fn a_redis_cluster_is_named_by_its_nodes_and_has_one_database() {
    let cluster = |url| {
        let nodes = ("SPIKE_REDIS_NODES", "10.0.0.2:7001, [::1]:7002");
        with(&[("SPIKE_REDIS_URL", url), ("SPIKE_REDIS_CLUSTER", "true"), nodes])
    };
    let seeds = cluster("redis://app:pw@10.0.0.1:7000").expect("allowed").redis.seeds();
    let places: Vec<_> = seeds.iter().map(|seed| (seed.host.as_str(), seed.port)).collect();
    assert_eq!(places, [("10.0.0.1", 7000), ("10.0.0.2", 7001), ("::1", 7002)]);
    assert!(seeds.iter().all(|seed| seed.user.as_deref() == Some("app") && seed.password.is_some()));
    let text = cluster("redis://10.0.0.1:7000/3").expect_err("database 3").to_string();
    assert!(
        text.starts_with("SPIKE_REDIS_URL") && text.contains("database 0 while redis.cluster is true"),
        "{text}"
    );
}

#[test]
fn printing_a_configuration_shows_no_secret() {
    let config = with(&[
        ("SPIKE_AUTH_SECRET", "hunter2-hunter2-hunter2-hunter2-hunter2"),
        ("SPIKE_REDIS_URL", "redis://:hunter2@127.0.0.1"),
        ("SPIKE_AMQP_URL", "amqp://shop:hunter2@127.0.0.1/%2f?password=hunter2"),
        ("SPIKE_DATABASE_URL", "mysql://shop:hunter2@127.0.0.1/spike"),
    ])
    .expect("allowed");
    let text = format!("{config:?} {config:#?}");
    assert!(!text.contains("hunter2") && text.contains("mysql://shop:***@127.0.0.1/spike"), "{text}");
    assert!(config.database.url.server().expect("a server").expose().contains("hunter2"));
}

#[test]
fn a_broker_may_have_several_nodes() {
    let config =
        with(&[("SPIKE_AMQP_URL", "amqp://shop:hunter2@a:1/v, amqp://shop:hunter2@b:2/v")]).expect("allowed");
    let nodes: Vec<_> = config.amqp.nodes.iter().map(|node| (node.host.as_str(), node.port)).collect();
    assert_eq!(nodes, [("a", Some(1)), ("b", Some(2))]);
    assert_eq!(config.amqp.url.server(), config.amqp.nodes.first());
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(with(&[]).expect("the defaults").amqp.nodes, []);
}

#[test]
fn orders_are_deleted_only_after_their_ledger_is_put_away() {
    let days = ("SPIKE_WORKER_RETENTION_DAYS", "30");
    assert_eq!(with(&[days]).expect("allowed").worker.retention_days, 30);
    assert_eq!(with(&[]).expect("the defaults").worker.retention_days, 0, "kept for ever");
    let errors = with(&[days, ("SPIKE_WORKER_ARCHIVE_AFTER_S", "0")]).expect_err("nothing is ever put away");
    assert_eq!(errors.all()[0].name(), days.0, "{errors}");
}

#[test]
fn lists_and_words_are_understood() {
    let config = with(&[
        ("SPIKE_HTTP_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("SPIKE_HTTP_CORS_ORIGINS", "https://shop.example,http://localhost:3000"),
        ("SPIKE_HTTP_CLIENT_IP_HEADER", "X-Real-IP"),
        ("SPIKE_HOT_DRIVER", "io_uring"),
        ("SPIKE_LIMITS_USER_PER_S", "0"),
    ])
    .expect("allowed");
    assert!(
        config.http.trusted_proxies[0].contains([10, 1, 2, 3].into())
            && config.http.trusted_proxies.len() == 2
    );
    assert_eq!(config.http.cors_origins, ["https://shop.example", "http://localhost:3000"]);
    assert_eq!(config.http.client_ip_header.as_deref(), Some("x-real-ip"));
    assert_eq!(config.hot.driver, Driver::IoUring);
    assert!(config.limits.user.is_off() && !config.limits.address.is_off());
    assert_eq!((config.hot.core_count(4), config.hot.core_count(0)), (4, 1));
}

#[test]
fn the_manual_has_every_setting_and_no_other() {
    let settings = Config::settings();
    let read: BTreeSet<_> = settings.iter().map(|setting| setting.key.clone()).collect();
    assert_eq!(read.len(), settings.len(), "a setting is read twice");
    let written: BTreeSet<_> = leaves(&DEFAULTS.parse().expect("TOML")).into_iter().collect();
    assert_eq!(read, written);
}

#[test]
fn the_manual_names_each_variable_and_what_is_allowed_just_above_it() {
    let lines: Vec<_> = DEFAULTS.lines().collect();
    for setting in Config::settings() {
        let key = setting.key.rsplit('.').next().expect("a key");
        let documented = format!("# {}: {}", setting.env(), setting.allowed);
        let at = lines.iter().position(|line| **line == documented);
        let at = at.unwrap_or_else(|| panic!("configs/default.toml lacks the line {documented:?}"));
        assert!(
            lines[at + 1].starts_with(&format!("{key} = ")),
            "{documented:?} stands above {:?}",
            lines[at + 1]
        );
        assert!(lines[at - 1].starts_with("# "), "{} is not explained", setting.key);
    }
}

#[test]
fn the_docstrings_name_each_variable_and_what_is_allowed() {
    let sources = [
        include_str!("profile.rs"),
        include_str!("http.rs"),
        include_str!("hot.rs"),
        include_str!("sidecar.rs"),
        include_str!("telemetry.rs"),
        include_str!("limits.rs"),
        include_str!("data.rs"),
        include_str!("redis.rs"),
        include_str!("amqp.rs"),
        include_str!("database.rs"),
        include_str!("relay.rs"),
        include_str!("cache.rs"),
        include_str!("follower.rs"),
        include_str!("worker.rs"),
        include_str!("outbox.rs"),
        include_str!("orders.rs"),
        include_str!("payments.rs"),
        include_str!("auth.rs"),
        include_str!("login.rs"),
        include_str!("admin.rs"),
        include_str!("log.rs"),
    ];
    let documented =
        |line: &str| sources.iter().any(|source| source.lines().any(|l| l.trim_end_matches(';') == line));
    for setting in Config::settings() {
        let indent = if setting.key == "profile" { "" } else { "    " };
        let line = format!("{indent}/// `{}`: {}", setting.env(), setting.allowed);
        assert!(documented(&line), "no docstring has the line {line:?}");
    }
}
