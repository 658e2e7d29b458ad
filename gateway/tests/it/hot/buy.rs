//! The buy: every answer it can give while Redis stands, and while it does not.

use spike_domain::{ClaimState, EventState, LedgerState, OrderId, UserId};
use spike_stock::EndedOrder;

use super::core::{EVENT, HotCore, Wishes};
use super::raw::{buy_request, until};

#[test]
fn a_buy_is_accepted_and_found_again() {
    let core = HotCore::start();
    let (token, mut client) = (core.token(1), core.client());
    let bought = client.buy(&token, "", r#"{"quantity":2}"#);
    assert_eq!(bought.status, 202, "{bought:?}");
    let order = bought.json()["data"]["order_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/spike/events/7/orders/{order}");
    assert_eq!(bought.header("location"), Some(path.as_str()));
    for path in [path.as_str(), "/api/v1/spike/events/7/orders/mine"] {
        let found = client.get(path, &token);
        assert_eq!(found.status, 200);
        assert_eq!(found.json()["data"]["order_id"], order);
        assert_eq!(
            (found.json()["data"]["status"].as_str(), found.json()["data"]["quantity"].as_u64()),
            (Some("queued"), Some(2))
        );
    }
    let again = client.buy(&token, "", "");
    assert_eq!((again.status, again.reason().as_str()), (409, "already-bought"));
    assert_eq!(again.json()["data"]["order_id"], order);
    assert_eq!(client.get("/api/v1/spike/events/7/orders/mine", &core.token(2)).status, 404);
}

#[test]
fn a_key_finds_its_order_also_after_sell_out() {
    let core = HotCore::start_with(Wishes { stock: 1, ..Wishes::default() });
    let (token, mut client) = (core.token(1), core.client());
    let key = "Idempotency-Key: press-1\r\n";
    let first = client.buy(&token, key, "");
    assert_eq!((first.status, first.header("idempotent-replayed")), (202, None));
    let other = client.buy(&core.token(2), "", "");
    assert_eq!((other.status, other.reason().as_str()), (409, "sold-out"));
    let flagged = client.buy(&core.token(3), "", "");
    assert_eq!(flagged.json()["data"]["your_order"], "/api/v1/spike/events/7/orders/mine");
    let again = client.buy(&token, key, "");
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
    assert_eq!(again.body, first.body, "the same answer");
    let changed = client.buy(&token, key, r#"{"quantity":2}"#);
    assert_eq!((changed.status, changed.reason().as_str()), (422, "idempotency-mismatch"));
    assert_eq!(client.buy(&core.token(3), key, "").reason(), "sold-out", "another user's key is another key");
}

#[test]
fn a_release_ends_sold_out_within_a_second() {
    let core = HotCore::start_with(Wishes { stock: 1, ..Wishes::default() });
    let mut client = core.client();
    let bought = client.buy(&core.token(1), "", "");
    let order = OrderId::parse(bought.json()["data"]["order_id"].as_str().unwrap()).unwrap();
    assert_eq!(client.buy(&core.token(2), "", "").reason(), "sold-out");
    let ended = EndedOrder { user: UserId(1), order, state: ClaimState::Cancelled };
    let released = core.block_on(core.ledger.release(EVENT, 1_763_800_000_000, &[ended])).unwrap();
    let since = std::time::Instant::now();
    assert_eq!(released, 1);
    until("the flag ends without a follower", || client.buy(&core.token(2), "", "").status == 202);
    // No follower runs here, so this is the probe alone; the bound is the invariant's, not a speed.
    assert!(since.elapsed() < std::time::Duration::from_secs(1), "I8: {:?}", since.elapsed());
    let ended = client.get(&format!("/api/v1/spike/events/7/orders/{order}"), &core.token(1));
    assert_eq!(ended.json()["data"]["status"], "cancelled");
}

#[test]
fn what_is_not_selling_says_why() {
    let core = HotCore::start();
    let mut client = core.client();
    let token = core.token(1);
    let now = spike_domain::clock::now_ms();
    let mut early = core.def(5, 1);
    early.window.starts_at_ms = now + 60_000;
    let mut late = core.def(5, 1);
    late.window.ends_at_ms = now - 1;
    let fine = core.def(5, 1);
    let cases = [
        (early.clone(), EventState::Scheduled, None, 403, "not-started", false),
        (early, EventState::Open, Some(LedgerState::Open), 403, "not-started", false),
        (late, EventState::Open, Some(LedgerState::Open), 410, "ended", false),
        (fine.clone(), EventState::Scheduled, None, 503, "recovering", true),
        (fine.clone(), EventState::Open, Some(LedgerState::Recovering), 503, "recovering", true),
        (fine.clone(), EventState::Paused, Some(LedgerState::Open), 503, "paused", true),
        (fine.clone(), EventState::Open, Some(LedgerState::Paused), 503, "paused", true),
        (fine, EventState::Closed, Some(LedgerState::Closed), 410, "ended", false),
    ];
    for (def, state, ledger, status, reason, retry) in cases {
        core.show(def, state, ledger);
        let answer = client.buy(&token, "", "");
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{state:?} {ledger:?}");
        assert_eq!(answer.header("retry-after").is_some(), retry, "{reason}");
    }
    let mut unknown = core.client();
    unknown.send(buy_request(&token, "", "").replace("events/7/", "events/8/").as_bytes());
    assert_eq!(unknown.answer().unwrap().reason(), "not-found");
}

#[test]
fn bad_tokens_are_one_answer_and_bad_presses_name_their_fault() {
    let core = HotCore::start();
    let mut client = core.client();
    let good = core.token(1);
    let forged = format!("{}x", &good[..good.len() - 1]);
    let refused: Vec<Vec<u8>> = ["", "nonsense", &forged, "a.b.c"]
        .iter()
        .map(|token| {
            let answer = client.buy(token, "", "");
            assert_eq!(answer.status, 401, "{token}");
            answer.body
        })
        .collect();
    let twice = client.buy(&good, &format!("Authorization: Bearer {good}\r\n"), "");
    assert_eq!((twice.status, &twice.body), (401, &refused[0]), "two Authorization headers");
    assert!(refused.windows(2).all(|pair| pair[0] == pair[1]), "one identical 401");
    let long_key = format!("Idempotency-Key: {}\r\n", "k".repeat(256));
    let cases = [
        ("", r#"{"quantity":0}"#, 422, Some("quantity")),
        ("", r#"{"quantity":3}"#, 422, Some("quantity")),
        ("", r#"{"quantity":9223372036854775808}"#, 422, Some("quantity")),
        ("", r#"{"role":"admin"}"#, 422, Some("role")),
        ("", "nonsense", 400, None),
        ("Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "", 400, None),
        (&long_key, "", 400, None),
    ];
    for (headers, body, status, field) in cases {
        let answer = client.buy(&good, headers, body);
        assert_eq!(answer.status, status, "{body} {answer:?}");
        assert_eq!(answer.json()["errors"][0]["field"].as_str(), field, "{body}");
    }
    let typed = client.buy(&good, "", "{}");
    assert_eq!(typed.status, 202, "none of them took the claim");
}

#[test]
fn limits_answer_429_with_the_time_to_wait() {
    let env = vec![
        ("SPIKE_LIMITS_USER_PER_S", "1".to_owned()),
        ("SPIKE_LIMITS_USER_BURST", "2".to_owned()),
        ("SPIKE_LIMITS_DEBOUNCE_MS", "0".to_owned()),
    ];
    let core = HotCore::start_with(Wishes { env, ..Wishes::default() });
    let (token, mut client) = (core.token(1), core.client());
    let statuses: Vec<u16> = (0..3).map(|_| client.buy(&token, "", "").status).collect();
    assert_eq!(statuses, [202, 409, 429]);
    let limited = client.buy(&token, "", "");
    assert_eq!((limited.reason().as_str(), limited.header("retry-after")), ("too-many-requests", Some("1")));
    let told = (limited.header("ratelimit-policy").unwrap(), limited.header("ratelimit").unwrap());
    assert!(told.0.starts_with("\"user\";q=2;w=") && told.1.starts_with("\"user\";r=0;t="), "{told:?}");
    assert_eq!(client.buy(&core.token(2), "", "").status, 202, "another user has a bucket of its own");
}

#[test]
fn a_second_press_within_the_debounce_is_refused() {
    let env = vec![("SPIKE_LIMITS_DEBOUNCE_MS", "60000".to_owned())];
    let core = HotCore::start_with(Wishes { env, ..Wishes::default() });
    let (token, mut client) = (core.token(1), core.client());
    assert_eq!((client.buy(&token, "", "").status, client.buy(&token, "", "").status), (202, 429));
}

#[test]
fn a_full_outbox_is_503_and_not_sold_out() {
    let core = HotCore::start_with(Wishes { cap: 2, ..Wishes::default() });
    let mut client = core.client();
    assert_eq!(
        (1..=2).map(|user| client.buy(&core.token(user), "", "").status).collect::<Vec<_>>(),
        [202, 202]
    );
    let full = client.buy(&core.token(3), "", "");
    assert_eq!((full.status, full.reason().as_str()), (503, "outbox-full"));
    assert!(full.header("retry-after").is_some());
}

#[test]
fn a_redis_that_dies_is_never_sold_out_and_its_return_is_fenced() {
    let core = HotCore::start_with(Wishes { stock: 1, ..Wishes::default() });
    let mut client = core.client();
    assert_eq!(client.buy(&core.token(1), "", "").status, 202);
    assert_eq!(client.buy(&core.token(2), "", "").reason(), "sold-out");
    core.redis.kill9();
    until("the stale flag lapses", || client.buy(&core.token(2), "", "").reason() != "sold-out");
    let down = client.buy(&core.token(3), "", "");
    assert_eq!((down.status, down.reason().as_str()), (503, "unavailable"));
    assert!(down.header("retry-after").is_some());
    core.redis.restart().unwrap();
    until("the core is back and fenced", || client.buy(&core.token(3), "", "").reason() == "recovering");
}

#[test]
fn a_silent_redis_is_an_unknown_outcome_that_names_its_order() {
    let env = vec![("SPIKE_HOT_REDIS_TIMEOUT_MS", "200".to_owned())];
    let core = HotCore::start_with(Wishes { env, ..Wishes::default() });
    let (token, mut client) = (core.token(1), core.client());
    core.redis.pause().unwrap();
    let unknown = client.buy(&token, "Idempotency-Key: k\r\n", "");
    assert_eq!((unknown.status, unknown.reason().as_str()), (503, "outcome-unknown"));
    let order = unknown.json()["data"]["order_id"].as_str().unwrap().to_owned();
    assert!(unknown.header("location").unwrap().ends_with(&order));
    core.redis.resume().unwrap();
    let mut answer = None;
    until("a retry with the key finds the order", || {
        let retry = client.buy(&token, "Idempotency-Key: k\r\n", "");
        let found = retry.status == 202;
        answer = Some(retry);
        found
    });
    assert_eq!(
        answer.unwrap().json()["data"]["order_id"],
        order,
        "the lost answer was a yes, and stays one order"
    );
}
