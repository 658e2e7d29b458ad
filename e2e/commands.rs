//! The command line itself: what it refuses before anything is started, and the commands around a system.

use std::io::Write;
use std::process::Stdio;

use spike_devstack::fixture;

use crate::process::{Env, command, run};
use crate::system::{loopback, servers, shared};

#[test]
fn the_demo_names_both_ways_to_its_servers() {
    let dir = fixture::folder("nothing");
    let check = |words: &[&str], env: &[(&str, &str)], parts: &[&str]| {
        let env: Env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let output = run(words, &env, &dir);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{words:?} does not say {part}: {stderr}");
        }
    };
    let all = ["make up", "SPIKE_REDIS_URL", "SPIKE_AMQP_URL", "SPIKE_DATABASE_URL", ".spike/stack"];
    check(&["demo", "--servers"], &[], &all);
    check(&["demo", "--servers"], &[("SPIKE_STACK", "elsewhere")], &["make up", "elsewhere"]);
    check(
        &["demo", "--servers"],
        &[("SPIKE_REDIS_URL", "redis://127.0.0.1:1")],
        &["SPIKE_AMQP_URL and SPIKE_DATABASE_URL not set"],
    );
    for words in [
        ["demo", "--early", "1.5"],
        ["demo", "--requests", "0"],
        ["demo", "--users", "many"],
        ["sell", "", ""],
    ] {
        check(&words, &[], &[words[1]]);
    }
}

#[test]
fn a_demo_without_its_servers_fails_and_leaves_nothing_running() {
    let dir = fixture::folder("demo");
    let redis = fixture::redis();
    let dead = loopback();
    let env = servers(&redis, &format!("amqp://{dead}/%2f"), &format!("mysql://spike:spike@{dead}/spike"));
    let output = run(&["demo", "--servers"], &env, &dir);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("database") && stderr.contains(&dead.to_string()), "{stderr}");
    assert!(!stderr.contains("spike:spike"), "no password: {stderr}");
}

#[test]
fn the_schema_goes_up_and_down_and_twice_is_fine() {
    let dir = fixture::folder("migrate");
    let env: Env = [("SPIKE_DATABASE_URL".to_owned(), fixture::database())].into();
    for words in [&["migrate"][..], &["migrate", "up"], &["migrate", "down", "--to", "0"], &["migrate"]] {
        let output = run(words, &env, &dir);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let without = run(&["migrate", "down"], &env, &dir);
    assert_eq!(without.status.code(), Some(2), "down must say how far");
}

#[test]
fn an_account_is_created_once_and_its_password_is_checked() {
    let dir = fixture::folder("admin");
    let env: Env = [("SPIKE_DATABASE_URL".to_owned(), fixture::database())].into();
    assert!(run(&["migrate"], &env, &dir).status.success());
    let create = |email: &str, password: &str| {
        let words = ["admin", "create-user", "--email", email, "--role", "admin", "--password-stdin"];
        let mut command = command(&words, &env, &dir);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // A command that refuses its words does not read.
        let _ = child.stdin.take().expect("piped").write_all(password.as_bytes());
        child.wait_with_output().expect("it ends")
    };
    let first = create("Root@E2E.invalid", "a good password\n");
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    assert!(String::from_utf8_lossy(&first.stdout).trim().parse::<i64>().is_ok(), "its id and nothing else");
    for (email, password, code, part) in [
        ("root@e2e.invalid", "another password", 1, "exists already"),
        ("b@e2e.invalid", "short", 2, "8 to 128"),
        ("not an address", "a good password", 2, "--email"),
        ("no-domain@host", "a good password", 2, "--email"),
    ] {
        let output = create(email, password);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{email}: {stderr}");
        assert!(stderr.contains(part), "{email}: {stderr}");
    }
}

#[test]
fn health_asks_the_port_it_is_told() {
    let system = shared();
    let dir = fixture::folder("health");
    let well = run(&["health", "--at", &system.gateway_ops.to_string()], &Env::new(), &dir);
    let body: serde_json::Value = serde_json::from_slice(&well.stdout).expect("what the port said");
    assert!(well.status.success() && body.is_object(), "{body}");
    let lives =
        run(&["health", "--live", "--worker", "--at", &system.worker_ops.to_string()], &Env::new(), &dir);
    assert!(
        lives.status.success() && lives.stdout != well.stdout,
        "{}",
        String::from_utf8_lossy(&lives.stdout)
    );
    let absent = run(&["health", "--at", &loopback().to_string()], &Env::new(), &dir);
    assert_eq!(absent.status.code(), Some(1));
}
