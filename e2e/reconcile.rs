//! `spike reconcile` as an operator uses it: on a sound sale, on a broken one, and on what it cannot help.

use serde_json::{Value, json};
use spike_devstack::fixture;

use crate::process::{Env, run};
use crate::system::{Sale, System};

#[test]
fn differences_are_told_and_what_is_safe_is_mended() {
    let system = System::start(&[("SPIKE_WORKER_RECONCILE_REPAIR", "false")]);
    let event = system.open(Sale::of(3));
    let (buyer, token) = system.user();
    assert_eq!(system.buy(event, &token, &[], None).status, 202);
    let dir = fixture::folder("reconcile");
    let number = event.to_string();
    let ask = |words: &[&str]| {
        let words = [&["reconcile", "--event", &number, "--wait-ms", "200"], words].concat();
        let output = run(&words, system.gateway.env(), &dir);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    crate::poll::until("the order has its row", || ask(&[]).1.contains("L = 1").then_some(()));
    let (code, told) = ask(&[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("S = 3") && told.contains("ledger and database agree"), "{told}");

    let key = |part: &str| format!("spike:{{{event}}}:{part}");
    system.redis.command(&["INCR", &key("stock")]).expect("Redis answers");
    let gone = system.redis.command(&["HDEL", &key("buyers"), &buyer.to_string()]);
    assert_eq!(gone.expect("Redis answers"), "1");
    let (code, told) = ask(&[]);
    assert_eq!(code, Some(1), "{told}");
    for part in ["drift", "orders-without-a-claim", "--repair"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (code, told) = ask(&["--json"]);
    let report: Value = serde_json::from_str(&told).expect("one JSON object");
    assert_eq!((code, &report["mended"]), (Some(1), &json!(false)), "{report}");
    assert_eq!(report["report"]["conservation"]["S"], 3);

    let (code, told) = ask(&["--repair"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("mended"), "{told}");
    assert_eq!(ask(&[]).0, Some(0));
    let again = crate::poll::until("the gateway sees the new epoch", || {
        let answer = system.buy(event, &token, &[], None);
        (answer.status != 503).then_some(answer)
    });
    assert_eq!(again.reason(), "already-bought", "the buyer has the claim again");
    let log = system.get("/api/v1/admin/audit?action=event.repaired", system.admin_token());
    assert_eq!(log.json()["data"]["items"].as_array().map(Vec::len), Some(1), "{}", log.json());
}

#[test]
fn what_cannot_be_reconciled_is_told() {
    let dir = fixture::folder("reconcile");
    let check = |env: &Env, event: &str, code: i32, part: &str| {
        let output = run(&["reconcile", "--event", event], env, &dir);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(part), "{told}");
    };
    check(&Env::new(), "7", 2, "spike serve");
    let system = crate::system::shared();
    check(system.gateway.env(), "999999", 2, "no event 999999");
}
