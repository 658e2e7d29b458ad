//! The demo a stranger runs first: a whole sale, sold out, drained and audited.

use std::process::Stdio;

use serde_json::Value;
use spike_devstack::fixture;

use crate::poll::until;
use crate::process::{Env, command, run};
use crate::system::servers;

#[test]
fn a_whole_sale_sells_out_and_its_audit_is_clean() {
    let redis = fixture::redis();
    let env = patient(servers(&redis, &fixture::vhost(), &fixture::database()));
    let dir = fixture::folder("demo");
    let words = ["demo", "--servers", "--requests", "3000", "--users", "1500", "--stock", "300", "--json"];
    let output = run(&words, &env, &dir);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);

    let summary: Value = serde_json::from_str(stdout.lines().last().expect("a last line")).expect("JSON");
    let number = |field: &str| summary[field].as_f64().unwrap_or_else(|| panic!("{field}: {summary}"));
    for (field, want) in [
        ("requests", 3000.0),
        ("accepted", 300.0),
        // One in a hundred presses before the opening.
        ("rejected", 30.0),
        ("errors", 0.0),
        ("oversold", 0.0),
        ("doubled", 0.0),
        ("lost", 0.0),
    ] {
        assert!((number(field) - want).abs() < 0.5, "{field} is not {want}: {summary}");
    }
    let kinds = ["accepted", "sold_out", "duplicates", "rejected", "errors"].map(number);
    assert!((kinds.iter().sum::<f64>() - 3000.0).abs() < 0.5, "every press has one answer: {summary}");
    assert!(number("p50_ms") > 0.0 && number("p50_ms") <= number("p95_ms"), "{summary}");
    assert!(number("p95_ms") <= number("p99_ms") && number("requests_per_s") > 0.0, "{summary}");
    assert!(number("drain_s") < 10.0, "{summary}");
    let audit: Vec<i64> =
        ["S", "R", "L", "F", "K"].map(|letter| summary["audit"][letter].as_i64().unwrap()).into();
    assert_eq!(audit, [300, 0, 300, 0, 0]);
    assert_eq!(summary.as_object().map(serde_json::Map::len), Some(15), "no field more: {summary}");

    // What the demo tells a person to run says the same.
    let event = stdout.split("spike:{").nth(1).and_then(|rest| rest.split('}').next()).expect("the commands");
    assert_eq!(redis.command(&["GET", &format!("spike:{{{event}}}:stock")]).unwrap(), "0");
    assert_eq!(redis.command(&["XLEN", &format!("spike:{{{event}}}:outbox")]).unwrap(), "0");
    let left: Vec<_> = std::fs::read_dir(dir.join(".spike")).map(Iterator::collect).unwrap_or_default();
    assert!(left.is_empty(), "the logs of a clean sale are removed: {left:?}");
}

#[test]
fn a_sale_on_a_redis_cluster_is_audited_too() {
    let cluster = fixture::redis_cluster();
    let places = cluster.places();
    let mut env = patient(servers(&cluster.nodes()[0], &fixture::vhost(), &fixture::database()));
    for (name, value) in [("CLUSTER", "true"), ("NODES", &places[1..].join(",")), ("WAIT_REPLICAS", "1")] {
        env.insert(format!("SPIKE_REDIS_{name}"), value.to_owned());
    }
    let dir = fixture::folder("demo");
    let words = ["demo", "--servers", "--requests", "1000", "--users", "500", "--stock", "100", "--json"];
    let output = run(&words, &env, &dir);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    let summary: Value = serde_json::from_str(stdout.lines().last().expect("a last line")).expect("JSON");
    let audit: Vec<i64> =
        ["S", "R", "L", "F", "K"].map(|letter| summary["audit"][letter].as_i64().unwrap()).into();
    assert_eq!(audit, [100, 0, 100, 0, 0]);
    // The line for a person follows the cluster to the event's master.
    assert!(stdout.contains("redis-cli -c -h "), "{stdout}");
    assert_eq!(cluster.command(&["GET", "spike:{1}:stock"]).expect("a master"), "0");
}

#[test]
fn a_sale_whose_stock_was_tampered_with_fails_its_audit() {
    let redis = fixture::redis();
    let env = patient(servers(&redis, &fixture::vhost(), &fixture::database()));
    let dir = fixture::folder("tampered");
    let words = ["demo", "--servers", "--requests", "400", "--users", "300", "--stock", "100", "--json"];
    let mut demo = command(&words, &env, &dir);
    let demo = demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    // The first event of a new database, warmed up and not open yet.
    let stock = "spike:{1}:stock";
    until("the stock is in Redis", || (redis.command(&["GET", stock]).ok()? == "100").then_some(()));
    redis.command(&["INCRBY", stock, "7"]).expect("Redis answers");

    let output = demo.wait_with_output().expect("it ends");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stdout}\n{stderr}");
    let told = ["FAILED", "S = R + L + F + K does not hold"].iter().all(|part| stdout.contains(part));
    assert!(told, "{stdout}\n{stderr}");
    let summary: Value = serde_json::from_str(stdout.lines().last().expect("a last line")).expect("JSON");
    // The database's own guard has let nobody hold what does not exist.
    assert_eq!(
        (&summary["accepted"], &summary["oversold"], &summary["audit"]["L"]),
        (&107.into(), &0.into(), &100.into())
    );
    assert!(stdout.contains("acknowledged order taken back"), "{stdout}");
    let logs = std::fs::read_dir(dir.join(".spike")).expect("the logs of a failed sale are kept");
    assert_eq!(logs.count(), 1);
}

/// Buyers wait for a disk that many tests share rather than being told that an outcome is unknown.
fn patient(mut env: Env) -> Env {
    env.extend([("SPIKE_HOT_REDIS_TIMEOUT_MS".to_owned(), "60000".to_owned())]);
    env
}
