//! A bad configuration is told whole before a port is bound, with exit code 2.

use std::net::TcpListener;

use spike_devstack::fixture;

use crate::process::{Env, run};
use crate::system::loopback;

/// Runs `role` with bad settings on ports that are in use: had one been bound first, the message would be of that.
fn check(role: &str, bad: &[(&str, &str)], names: &[&str]) {
    let dir = fixture::folder("config");
    let taken = [loopback(), loopback(), loopback()].map(|at| TcpListener::bind(at).expect("free"));
    let at = |index: usize| taken[index].local_addr().expect("bound").to_string();
    let mut env: Env = [
        ("SPIKE_HTTP_LISTEN".to_owned(), at(0)),
        ("SPIKE_HTTP_OPS_LISTEN".to_owned(), at(1)),
        ("SPIKE_WORKER_OPS_LISTEN".to_owned(), at(2)),
    ]
    .into();
    env.extend(bad.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let output = run(&[role], &env, &dir);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{role} {bad:?}: {stderr}");
    for name in names {
        let lines: Vec<&str> = stderr.lines().filter(|line| line.contains(name)).collect();
        assert_eq!(lines.len(), 1, "{role} {bad:?} must name {name} in one line: {stderr}");
    }
    assert!(!stderr.contains("cannot listen"), "{role} {bad:?} bound a port: {stderr}");
    assert!(!stderr.contains("hunter2"), "{role} {bad:?} shows a secret: {stderr}");
}

#[test]
fn each_bad_value_is_named_with_what_is_allowed() {
    for role in ["gateway", "worker", "migrate"] {
        for (name, value, allowed) in [
            ("SPIKE_HTTP_LISTEN", "8080", "an address and a port"),
            ("SPIKE_HOT_CORES", "-1", "0 to 1024"),
            ("SPIKE_HOT_DRIVER", "kqueue", "io_uring"),
            ("SPIKE_LIMITS_TABLE_SLOTS", "1000", "a power of two"),
            ("SPIKE_REDIS_URL", "http://x:hunter2@y", "redis://"),
            ("SPIKE_AMQP_URL", "hunter2", "amqp://"),
            ("SPIKE_DATABASE_URL", "postgres://a:hunter2@b/c", "mysql://"),
            ("SPIKE_AUTH_LEEWAY_S", "5", "30 to 60"),
            ("SPIKE_PROFILE", "production", "prod"),
            ("SPIKE_LOG_LEVEL", "inof", "info"),
        ] {
            check(role, &[(name, value)], &[name, allowed]);
        }
    }
}

#[test]
fn several_mistakes_are_told_at_once_and_unknown_names_are_mistakes() {
    let bad = [("SPIKE_HOT_CORES", "x"), ("SPIKE_OUTBOX_INFLIGHT_MAX", "0"), ("SPIKE_HOT_COERS", "1")];
    check("gateway", &bad, &["SPIKE_HOT_CORES is", "SPIKE_OUTBOX_INFLIGHT_MAX", "SPIKE_HOT_COERS"]);
    check("gateway", &[("SPIKE_CONFIG", "/does/not/exist.toml")], &["/does/not/exist.toml"]);
}

#[test]
fn prod_refuses_public_secrets() {
    let public = [
        ("SPIKE_PROFILE", "prod"),
        ("SPIKE_AMQP_URL", "amqp://guest:guest@127.0.0.1:1/%2f"),
        ("SPIKE_DATABASE_URL", "mysql://spike:spike@127.0.0.1:1/spike"),
    ];
    check("gateway", &public, &["SPIKE_AUTH_SECRET", "SPIKE_AMQP_URL", "SPIKE_DATABASE_URL"]);
    check("serve", &public[..1], &["SPIKE_AUTH_SECRET"]);
}

#[test]
fn a_file_is_checked_like_the_environment() {
    let dir = fixture::folder("file");
    let file = dir.join("spike.toml");
    std::fs::write(&file, "[hot]\ncores = \"many\"\n").expect("written");
    let output = run(&["gateway", "--config", "spike.toml"], &Env::new(), &dir);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("spike.toml:hot.cores"), "{stderr}");
}
