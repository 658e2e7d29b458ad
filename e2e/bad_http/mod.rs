//! Bad HTTP against a whole gateway: what is malformed, ambiguous, oversized or slow is refused or read in one safe way,
//! one request gets one answer, and nothing that hides in another request ever runs.
//!
//! The table of cases is in the files of this folder, a file a subject; families are spelt out as distinct requests.

mod bodies;
mod case;
mod doors;
mod framing;
mod heads;
mod slow;
mod targets;
mod wire;

use std::collections::HashSet;
use std::net::SocketAddr;

use case::{After, Case, Ground};
use wire::Wire;

use crate::http::{Answer, call};
use crate::shop::Shop;
use crate::system::{Sale, orders_path};

/// What the corpus promises to have at least.
const CASES: usize = 250;

#[test]
fn bad_requests_are_refused_and_nothing_hidden_in_them_runs() {
    let mut shop = Shop::start_with(2, &[("SPIKE_HTTP_HEADER_BYTES_MAX", &heads::HEAD_MAX.to_string())]);
    let event = shop.open(Sale::of(5));
    let [(_, token), (_, victim)] = shop.take_buyers(2).try_into().expect("two");
    let orders = orders_path(event);
    // Sent first and of all requests the only one that may be accepted.
    assert_eq!(shop.buy(event, &token, None).expect("an answer").status, 202);
    let hidden = format!(
        "POST {orders} HTTP/1.1\r\nHost: t\r\nX-Request-Id: hidden\r\nAuthorization: Bearer {victim}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let ground = Ground { event: event.to_string(), token, hidden };

    let cases = corpus(&ground);
    let mut known = HashSet::<&[u8]>::new();
    let again: Vec<&str> =
        cases.iter().filter(|case| !known.insert(&*case.bytes)).map(|case| &*case.name).collect();
    assert!(again.is_empty(), "every case is a request of its own: {again:?}");
    assert!(cases.len() >= CASES, "{} cases", cases.len());

    let wrong: Vec<String> = cases.iter().filter_map(|case| check(shop.http, &ground, case).err()).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} cases", cases.len());

    let bearer = format!("Bearer {victim}");
    let mine = call(shop.http, "GET", &format!("{orders}/mine"), &[("Authorization", &bearer)], None);
    assert_eq!(mine.status, 404, "a hidden press has run: {mine:?}");
    assert_eq!(shop.metric("spike_gateway_accepted_total"), 1);
    assert_eq!(shop.metric("spike_gateway_panics_total"), 0);
    assert_eq!(shop.leave(event).len(), 1);
}

#[test]
fn a_target_that_fits_into_a_head_is_too_long_beyond_64_kib() {
    let shop = Shop::start_with(0, &[("SPIKE_HTTP_HEADER_BYTES_MAX", "131072")]);
    for (bytes, status) in [(65_000, 404), (65_535, 414), (100_000, 414), (400_000, 431)] {
        let mut wire = Wire::connect(shop.http);
        wire.send(format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(bytes - 1)).as_bytes());
        assert_eq!(wire.answer(false).expect("an answer").status, status, "{bytes}");
        assert!(status == 404 || wire.closed(), "{bytes}");
    }
}

/// Every case.
fn corpus(ground: &Ground) -> Vec<Case> {
    let cases = [bodies::cases, framing::cases, heads::cases, targets::cases].map(|cases| cases(ground));
    cases.into_iter().flatten().collect()
}

/// Sends a case on a connection of its own; says what is wrong about what came back.
fn check(at: SocketAddr, ground: &Ground, case: &Case) -> Result<(), String> {
    let (mut wire, probe) = (Wire::connect(at), probe(ground));
    // Where the connection must close, what follows is sent at once: it must never be answered.
    let follows: &[u8] = if case.want.after == After::Closed { probe.as_bytes() } else { b"" };
    wire.send(&[&*case.bytes, follows].concat());
    let want = &case.want;
    let mut got = Vec::new();
    while got.len() < want.statuses.len() || want.after == After::Closed {
        let Some(answer) = wire.answer(want.head) else { break };
        if let Err(fault) = whole(&answer) {
            return Err(format!("{}: {fault}: {} {:?}", case.name, answer.head, answer.body));
        }
        got.push(answer);
    }
    let statuses: Vec<u16> = got.iter().map(|answer| answer.status).collect();
    if statuses != *want.statuses {
        let last = got.last().map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
        return Err(format!("{}: {statuses:?} and not {want:?}; {last:?}", case.name));
    }
    if want.after == After::Closed {
        return Ok(());
    }
    wire.send(probe.as_bytes());
    match wire.answer(false) {
        None if want.after == After::Either => Ok(()),
        None => Err(format!("{}: closed and not {want:?}", case.name)),
        Some(answer) if answer.status == 200 && answer.header("x-request-id") == Some("probe") => Ok(()),
        Some(answer) => Err(format!("{}: the next request got {answer:?}", case.name)),
    }
}

/// A good request that is told from all others by its id.
fn probe(ground: &Ground) -> String {
    ground.fill("GET {page} HTTP/1.1\r\nHost: t\r\nX-Request-Id: probe\r\n\r\n")
}

/// What every answer must be, whatever was asked.
fn whole(answer: &Answer) -> Result<(), &'static str> {
    if answer.head.contains("hidden") || answer.header("x-request-id") == Some("probe") {
        return Err("two answers for one request");
    }
    if answer.status >= 500 {
        return Err("a failure of ours");
    }
    if answer.status == 405 && answer.header("allow").is_none() {
        return Err("no Allow");
    }
    // The parser's own refusals are bare.
    let bare = answer.body.is_empty();
    let json = |answer: &Answer| serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
    if !bare && answer.status >= 400 && json(answer).is_none_or(|body| !body["reason"].is_string()) {
        return Err("no envelope");
    }
    Ok(())
}
