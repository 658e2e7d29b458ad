//! The corpus on an event that is sold out, through both front doors: a gateway whose fast lane answers and one where hyper
//! reads everything say the same, byte for byte.

use std::net::SocketAddr;

use serde_json::Value;

use super::case::{After, Case, Ground, Want, either};
use super::wire::Wire;
use super::{corpus, heads, probe, whole};
use crate::http::Answer;
use crate::poll::until;
use crate::system::{Sale, System, orders_path};

/// Presses that the lane answered.
const TOLD_BY_LANE: &str = "spike_gateway_fast_lane_total";
const PANICS: &str = "spike_gateway_panics_total";
/// A header that the lane does not know: hyper answers, and hands the connection back.
const AT_HYPER: &str = "X-Unknown: 1\r\n";

/// What a gateway said to a case, without what differs from answer to answer, and what became of the connection.
#[derive(Debug, PartialEq)]
struct Transcript {
    answers: Vec<String>,
    end: Option<After>,
}

/// A case, and bytes that are sent when it has been answered.
struct Talk {
    case: Case,
    late: Vec<u8>,
}

#[test]
fn both_front_doors_answer_the_corpus_alike() {
    let settings = [
        ("SPIKE_HTTP_HEADER_BYTES_MAX", &*heads::HEAD_MAX.to_string()),
        // A press in between that is let through as the probe is not answered by the flag: one a minute.
        ("SPIKE_FOLLOWER_SOLD_OUT_MS", "60000"),
    ];
    let system = System::start(&settings);
    let event = system.open(Sale::of(1));
    let [(_, token), (_, late)] = system.users(2).try_into().expect("two");
    assert_eq!(system.buy(event, &token, &[], None).status, 202);
    let (without, hyper) = system.gateway_with(&[("SPIKE_HOT_FAST_LANE", "false".to_owned())]);
    // As plain as the lane wants it: what hides in another request would be answered there.
    let hidden = format!("POST {} HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", orders_path(event));
    let ground = Ground { event: event.to_string(), token: late, hidden };
    until("hyper's gateway knows the event", || sold_out(hyper, &ground).then_some(()));
    until("the lane answers", || {
        let before = system.gateway.metric(TOLD_BY_LANE);
        (sold_out(system.http, &ground) && system.gateway.metric(TOLD_BY_LANE) > before).then_some(())
    });
    comes_back(&system, &ground);

    let talks: Vec<Talk> = corpus(&ground).into_iter().map(|case| Talk { case, late: Vec::new() }).collect();
    let talks: Vec<Talk> = talks.into_iter().chain(bodies_that_come_late(&ground)).collect();
    let both = |talk: &Talk, readied| {
        [system.http, hyper].map(|at| {
            assert!(sold_out(at, &ground), "it stays sold out");
            transcript(at, &ground, talk, readied)
        })
    };
    let mut wrong = Vec::new();
    for (talk, readied) in talks.iter().flat_map(|talk| [(talk, false), (talk, true)]) {
        let [mut lane, mut by_hyper] = both(talk, readied);
        if lane != by_hyper {
            // Once more: what came of the one press a minute that is a probe does not come again.
            [lane, by_hyper] = both(talk, readied);
        }
        if lane != by_hyper {
            wrong.push(format!("{}, readied {readied}: lane {lane:#?}, hyper {by_hyper:#?}", talk.case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), talks.len(), wrong.join("\n"));
    println!("{} cases, on fresh connections and on such as have come back to the lane", talks.len());
    assert_eq!(without.metric(TOLD_BY_LANE), 0, "the other door has no lane");
    assert_eq!(system.gateway.metric(PANICS) + without.metric(PANICS), 0);
}

/// A connection whose press hyper has answered is in the lane again.
fn comes_back(system: &System, ground: &Ground) {
    let before = system.gateway.metric(TOLD_BY_LANE);
    let mut wire = readied(system.http, ground);
    wire.send(press(ground, "").as_bytes());
    assert_eq!(wire.answer(false).expect("an answer").reason(), "sold-out");
    assert_eq!(system.gateway.metric(TOLD_BY_LANE), before + 1);
}

/// Bodies that are announced, and come when the answer is out: no press in them may be answered.
fn bodies_that_come_late(ground: &Ground) -> Vec<Talk> {
    let late = ground.hidden.repeat(3).into_bytes();
    [("", "{auth}"), ("at hyper", AT_HYPER), ("expected", "Expect: 100-continue\r\n")]
        .into_iter()
        .map(|(name, headers)| {
            let text = format!(
                "POST {{orders}} HTTP/1.1\r\nHost: t\r\n{headers}Content-Length: {}\r\n\r\n",
                late.len()
            );
            let case = ground.case(format!("a body behind its answer {name}"), &text, either(&[409]));
            Talk { case, late: late.clone() }
        })
        .collect()
}

fn press(ground: &Ground, headers: &str) -> String {
    ground.fill(&format!("POST {{orders}} HTTP/1.1\r\nHost: t\r\n{{auth}}{headers}Content-Length: 0\r\n\r\n"))
}

/// Whether a whole press is refused as one of an event that has nothing left.
fn sold_out(at: SocketAddr, ground: &Ground) -> bool {
    let answer = crate::http::send(at, press(ground, "").as_bytes());
    answer.status == 409 && answer.reason() == "sold-out"
}

/// A connection on which hyper has answered one press with 409.
fn readied(at: SocketAddr, ground: &Ground) -> Wire {
    let mut wire = Wire::connect(at);
    wire.send(press(ground, AT_HYPER).as_bytes());
    assert_eq!(wire.answer(false).expect("an answer").reason(), "sold-out");
    wire
}

fn transcript(at: SocketAddr, ground: &Ground, talk: &Talk, ready: bool) -> Transcript {
    let Want { statuses, after, head } = talk.case.want;
    let mut wire = if ready { readied(at, ground) } else { Wire::connect(at) };
    // As in the other test of the corpus: what follows a request that closes is sent with it.
    let mut follows = Some([&*talk.late, probe(ground).as_bytes()].concat());
    let together = if after == After::Closed { follows.take() } else { None };
    wire.send(&[&*talk.case.bytes, &together.unwrap_or_default()].concat());
    let mut awaited = statuses.iter().filter(|&&status| status >= 200).count();
    let mut answers = Vec::new();
    let end = loop {
        if awaited == 0
            && let Some(bytes) = follows.take()
        {
            wire.send(&bytes);
        }
        let Some(answer) = wire.answer(head) else { break After::Closed };
        if answer.header("x-request-id") == Some("probe") {
            break After::Kept;
        }
        let fault = whole(&answer).err();
        assert_eq!(fault, None, "{}: {} {:?}", talk.case.name, answer.head, answer.body);
        awaited = awaited.saturating_sub(usize::from(answer.status >= 200));
        answers.push(shape(&answer));
    };
    // Which of two safe ends it is depends on how the bytes arrive.
    Transcript { answers, end: (after != After::Either).then_some(end) }
}

/// An answer without its date and its request id.
fn shape(answer: &Answer) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((name @ ("x-request-id" | "date"), _)) => name.to_owned(),
        _ => line.to_owned(),
    };
    let head: Vec<String> = answer.head.lines().map(line).collect();
    let body = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(Value::Object(mut body)) => {
            body.remove("request_id");
            Value::Object(body).to_string()
        }
        _ => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    format!("{}\n\n{body}", head.join("\n"))
}
