//! What is asked wrong is refused with one line and exit code 2, before anything is begun.

use spike_devstack::fixture;

use crate::program::{Env, said, spike_load};

fn check(words: &[&str], env: &Env, part: &str) {
    let output = spike_load(words, env);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
    assert!(said.contains(part) && said.lines().count() == 1, "{words:?}: {said}");
}

#[test]
fn wrong_input_is_named_in_one_line() {
    let dir = fixture::folder("misuse");
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let users = |expires_at_ms: u64| {
        format!(
            r#"{{"base":"http://127.0.0.1:1/api/v1","event":1,"expires_at_ms":{expires_at_ms},"password":"p","products":[],
                "users":[{{"email":"a@b","id":1,"token":"t"}}]}}"#
        )
    };
    let (good, over) = (file("users.json", &users(u64::MAX)), file("over.json", &users(0)));
    let (nonsense, missing) = (file("nonsense.json", "{}"), dir.join("none.json"));
    let missing = missing.to_str().expect("UTF-8");
    let none = Env::new();
    check(&["run", "--users", missing], &none, "none.json");
    check(&["run", "--users", &nonsense], &none, "no file of `spike admin load-users`");
    check(&["run", "--users", &over], &none, "make another file");
    check(&["run", "--users", &good, "--url", "https://shop.example"], &none, "no TLS");
    check(&["run", "--users", &good, "--url", "shop"], &none, "no scheme http");
    check(&["report", "--record", missing], &none, "none.json");
    check(&["report", "--record", &nonsense], &none, "no record of a load test");
    check(&["verify", "--event", "1", "--told", missing], &none, "none.json");
    check(&["verify", "--event", "1", "--told", &nonsense], &none, "spike-load run --told");
    check(&["verify", "--event", "1", "--told", &file("empty.json", "[]")], &none, "of event 1");
    check(&["verify", "--event", "1"], &none, "SPIKE_REDIS_URL");
    check(&["stage", "--spike-per-s", "0"], &none, "--spike-per-s is 0");
    let misspelt = Env::from([("SPIKE_REDIS_URI".to_owned(), "redis://h".to_owned())]);
    check(&["verify", "--event", "1"], &misspelt, "SPIKE_REDIS_URI");
}

#[test]
fn a_gateway_that_is_not_there_is_a_failure() {
    let dir = fixture::folder("absent");
    let path = dir.join("users.json");
    let port = spike_devstack::free_port().expect("a port");
    let text = format!(
        r#"{{"base":"http://127.0.0.1:{port}/api/v1","event":1,"expires_at_ms":{},"password":"p","products":[],
            "users":[{{"email":"a@b","id":1,"token":"t"}}]}}"#,
        u64::MAX
    );
    std::fs::write(&path, text).expect("a file");
    let output = spike_load(&["run", "--users", path.to_str().expect("UTF-8")], &Env::new());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}
