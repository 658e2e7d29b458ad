//! What hot answers carry beside their bodies: entity tags, request ids, origins, problems; and the panic.

use super::core::{HotCore, Wishes};
use super::raw::buy_request;

const PAGE: &str = "/api/v1/spike/events/7";

fn get(core: &HotCore, path: &str, headers: &str) -> super::raw::Answer {
    let mut client = core.client();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n{headers}\r\n").as_bytes());
    client.answer().unwrap()
}

#[test]
fn the_event_is_served_from_prebuilt_bytes_with_its_tag() {
    let core = HotCore::start();
    let page = get(&core, PAGE, "");
    assert_eq!((page.status, page.json()["data"]["name"].as_str()), (200, Some("Sale")));
    let tag = page.header("etag").unwrap().to_owned();
    assert_eq!(page.header("cache-control"), Some("public, max-age=1"));
    let unchanged = get(&core, PAGE, &format!("If-None-Match: \"x\", {tag}\r\n"));
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert_eq!(unchanged.header("etag"), Some(tag.as_str()));
    assert_eq!(get(&core, PAGE, "If-None-Match: \"x\"\r\n").status, 200);
    assert_eq!(
        get(&core, "/api/v1/spike/events/8", "").status,
        418,
        "an event not in the table is asked of the database"
    );
}

#[test]
fn hot_answers_carry_request_id_and_origin_like_cold_ones() {
    let env = vec![("SPIKE_HTTP_CORS_ORIGINS", "https://shop.example".to_owned())];
    let core = HotCore::start_with(Wishes { env, ..Wishes::default() });
    let named = get(&core, PAGE, "X-Request-Id: abc\r\nOrigin: https://shop.example\r\n");
    assert_eq!(named.header("x-request-id"), Some("abc"));
    assert_eq!(named.header("access-control-allow-origin"), Some("https://shop.example"));
    let made = get(&core, PAGE, "Origin: https://evil.example\r\n");
    assert_eq!(made.header("x-request-id").map(str::len), Some(16));
    assert_eq!(made.header("access-control-allow-origin"), None);
    let problem = get(&core, "/api/v1/spike/events/7/orders/mine", "Accept: application/problem+json\r\n");
    assert_eq!(problem.header("content-type"), Some("application/problem+json"));
    assert_eq!(problem.json()["type"], "/errors/unauthorized");
}

#[test]
fn a_panic_answers_500_and_the_core_goes_on() {
    let core = HotCore::start_with(Wishes { thread: "planted", ..Wishes::default() });
    let scenario = fail::FailScenario::setup();
    fail::cfg_callback("hot-reserve", || {
        assert_ne!(std::thread::current().name(), Some("planted"), "planted");
    })
    .unwrap();
    let mut client = core.client();
    let answer = client.buy(&core.token(1), "X-Request-Id: p\r\n", "");
    assert_eq!((answer.status, answer.reason().as_str()), (500, "internal"));
    assert_eq!((answer.header("connection"), answer.header("x-request-id")), (Some("close"), Some("p")));
    assert!(!String::from_utf8_lossy(&answer.body).contains("planted"), "no detail leaves");
    assert!(client.closed());
    scenario.teardown();
    assert_eq!(core.client().buy(&core.token(1), "", "").status, 202, "the same core still sells");
    assert_eq!(core.shared.counters.sum(spike_telemetry::Counter::Panics), 1);
}

#[test]
fn pipelined_buys_are_answered_in_order() {
    let core = HotCore::start();
    let mut client = core.client();
    let requests: String = (1..=4)
        .map(|user| buy_request(&core.token(user), &format!("X-Request-Id: r{user}\r\n"), "{}"))
        .collect();
    client.send(requests.as_bytes());
    for user in 1..=4 {
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.header("x-request-id")), (202, Some(format!("r{user}").as_str())));
    }
}
