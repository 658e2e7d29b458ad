//! The load scripts of k6 and wrk against a running shop, for seconds and at low rates: they pass where the shop serves, and fail
//! where it refuses. How fast it serves is not looked at.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use spike_devstack::fixture;

use crate::process::{Env, run};
use crate::system::{loopback, servers, shared};

/// The least there is to prepare.
const PREPARE: [&str; 6] = ["admin", "load-users", "--count", "3", "--out", "users.json"];
/// Seconds of each run.
const DURATION_S: &str = "2";
/// Far more than the presses of a run of k6, so that most get a unit.
const USERS: &str = "300";
/// A bound on P95 that a loaded machine does not miss.
const PATIENT_MS: &str = "60000";
/// Exit code of k6 when a threshold is missed.
const THRESHOLD_MISSED: i32 = 99;

#[test]
fn every_script_of_k6_passes() {
    let Some(k6) = k6() else { return };
    let dir = fixture::folder("k6");
    std::thread::scope(|scope| {
        for script in ["login", "list", "order", "spike", "all"] {
            let (k6, dir) = (&k6, &dir);
            scope.spawn(move || {
                let output = run_k6(k6, script, &load_users(dir, script));
                let said = said(&output);
                assert!(output.status.success(), "{script}: {said}");
                // One that has sent nothing misses no threshold.
                assert!(!said.contains(" 0 out of 0"), "{script}: {said}");
            });
        }
    });
}

#[test]
fn every_script_of_wrk_passes() {
    let Some(wrk) = wrk() else { return };
    let dir = fixture::folder("wrk");
    // The shop is the same for all, so that one file serves them.
    let users = load_users(&dir, "users");
    for (script, wanted) in [("login", "200"), ("list", "200"), ("order", "201"), ("spike", "202")] {
        let output = run_wrk(&wrk, script, &users);
        let said = said(&output);
        assert!(output.status.success(), "{script}: {said}");
        assert!(said.lines().any(|line| line == format!("PASS {script}")), "{script}: {said}");
        assert!(count_of(&said, wanted) > 0, "{script}: {said}");
    }
}

#[test]
fn scripts_fail_where_the_shop_refuses() {
    let (Some(k6), Some(wrk)) = (k6(), wrk()) else { return };
    let dir = fixture::folder("refused");
    let users = load_users(&dir, "users");
    // No answer takes less than no time.
    for output in [
        bounded(&mut k6_command(&k6, "list", &users), "0"),
        bounded(&mut wrk_command(&wrk, "list", &users), "0"),
    ] {
        assert!(matches!(output.status.code(), Some(THRESHOLD_MISSED | 1)), "{}", said(&output));
    }

    let mut file: Value = serde_json::from_slice(&std::fs::read(&users).expect("a file")).expect("JSON");
    for user in file["users"].as_array_mut().expect("users") {
        user["token"] = "forged".into();
    }
    std::fs::write(&users, lines_of(&file)).expect("a file");
    for script in ["order", "spike"] {
        let missed = run_k6(&k6, script, &users);
        assert_eq!(missed.status.code(), Some(THRESHOLD_MISSED), "{script}: {}", said(&missed));
        let missed = run_wrk(&wrk, script, &users);
        assert_eq!(missed.status.code(), Some(1), "{script}: {}", said(&missed));
        assert!(count_of(&said(&missed), "401 unauthorized") > 0, "{script}: {}", said(&missed));
        assert!(said(&missed).lines().any(|line| line == format!("FAIL {script}")), "{}", said(&missed));
    }
    file["expires_at_ms"] = 0.into();
    std::fs::write(&users, lines_of(&file)).expect("a file");
    for output in [run_k6(&k6, "list", &users), run_wrk(&wrk, "list", &users)] {
        assert!(!output.status.success() && said(&output).contains("expire"), "{}", said(&output));
    }
}

#[test]
fn users_for_a_load_need_a_gateway() {
    let redis = fixture::redis();
    let mut env: Env = servers(&redis, &fixture::vhost(), &fixture::database());
    env.insert("SPIKE_HTTP_LISTEN".into(), loopback().to_string());
    let output = run(&PREPARE, &env, &fixture::folder("load-users"));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("no gateway serves at"), "{}", said(&output));
}

#[test]
fn users_for_a_load_are_refused_in_prod() {
    let long = "a-secret-of-this-test-longer-than-thirty-two-bytes";
    let dead = loopback();
    let env: Env = [
        ("SPIKE_PROFILE", "prod".to_owned()),
        ("SPIKE_AUTH_SECRET", long.to_owned()),
        ("SPIKE_PAYMENTS_CALLBACK_SECRET", long.to_owned()),
        ("SPIKE_ADMIN_EMAIL", String::new()),
        ("SPIKE_REDIS_URL", format!("redis://{dead}")),
        ("SPIKE_AMQP_URL", format!("amqp://shop:{long}@{dead}/%2f")),
        ("SPIKE_DATABASE_URL", format!("mysql://shop:{long}@{dead}/shop")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let dir = fixture::folder("load-users");
    let output = run(&PREPARE, &env, &dir);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("SPIKE_PROFILE is prod"), "{}", said(&output));
    assert!(!dir.join("users.json").exists(), "nothing was begun");
}

/// A new file of users of the shared shop.
fn load_users(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(format!("{name}.json"));
    let out = path.to_str().expect("UTF-8");
    let words = ["admin", "load-users", "--count", USERS, "--out", out, "--products", "3"];
    let output = run(&words, shared().gateway.env(), dir);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("good until"), "{}", said(&output));
    let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
    assert_eq!(mode & 0o077, 0, "tokens are nobody else's");
    path
}

/// The file as the command writes it: the head, then a user a line.
fn lines_of(file: &Value) -> String {
    let mut head = file.clone();
    let users = head.as_object_mut().expect("an object").remove("users").expect("users");
    let users: Vec<String> = users.as_array().expect("users").iter().map(ToString::to_string).collect();
    format!(
        "{},\"users\":[\n{}\n]}}\n",
        head.to_string().strip_suffix('}').expect("an object"),
        users.join(",\n")
    )
}

fn run_k6(k6: &Path, script: &str, users: &Path) -> Output {
    bounded(&mut k6_command(k6, script, users), PATIENT_MS)
}

fn run_wrk(wrk: &Path, script: &str, users: &Path) -> Output {
    bounded(&mut wrk_command(wrk, script, users), PATIENT_MS)
}

fn bounded(command: &mut Command, p95_ms: &str) -> Output {
    command.env("LOAD_P95_MS", p95_ms).output().expect("it starts")
}

fn k6_command(k6: &Path, script: &str, users: &Path) -> Command {
    let mut command = Command::new(k6);
    command.args(["run", "--quiet", "--no-usage-report", "--address", ""]);
    command.arg(loadtest(&format!("k6/{script}.js")));
    with_low_rates(command, users)
}

fn wrk_command(wrk: &Path, script: &str, users: &Path) -> Command {
    let mut command = Command::new(loadtest("wrk/run.sh"));
    command.arg(script).env("WRK", wrk);
    with_low_rates(command, users)
}

/// And none of the caller's own settings of a load.
fn with_low_rates(mut command: Command, users: &Path) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LOAD_")) {
        command.env_remove(name);
    }
    command.env("LOAD_USERS", users).env("LOAD_DURATION_S", DURATION_S).env("LOAD_DROPPED_MAX", "1");
    command.env("LOAD_LOGIN_PER_S", "2").env("LOAD_LIST_PER_S", "20");
    command.env("LOAD_ORDER_PER_S", "10").env("LOAD_SPIKE_PER_S", "50").env("LOAD_CONNECTIONS", "2");
    command
}

/// How many answers of that kind the report of wrk's scripts counts.
fn count_of(said: &str, answer: &str) -> u64 {
    let count = |line: &str| {
        let (count, kind) = line.trim().split_once("  ")?;
        (kind.trim_end_matches("  (not expected)") == answer).then(|| count.parse().ok()).flatten()
    };
    said.lines().find_map(count).unwrap_or(0)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

fn loadtest(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../loadtest")).join(path)
}

fn k6() -> Option<PathBuf> {
    let ours = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.spike/k6/bin/k6"));
    installed([ours, Path::new("k6")], "version")
}

fn wrk() -> Option<PathBuf> {
    installed([Path::new("wrk")], "--version")
}

/// The first of them that starts. A missing tool is a failed test unless SPIKE_TEST_WITHOUT_LOADTOOLS says that it may be.
fn installed<const N: usize>(programs: [&Path; N], version: &str) -> Option<PathBuf> {
    let found = programs.iter().find(|program| Command::new(program).arg(version).output().is_ok());
    if found.is_none() {
        let name = programs[N - 1].display();
        let may = std::env::var_os("SPIKE_TEST_WITHOUT_LOADTOOLS").is_some();
        assert!(may, "{name} is not installed: run deploy/devstack/install-loadtools.sh");
        eprintln!("skipped: {name} is not installed, and SPIKE_TEST_WITHOUT_LOADTOOLS is set");
    }
    found.map(|program| program.to_path_buf())
}
