//! The fast lane: the same answers as hyper's, in the same order, and never a byte of one request taken for another.

use spike_gateway::shared::DrainPhase;
use spike_metrics::words::{HotRoute, Outcome};
use spike_telemetry::Counter;

use super::core::{HotCore, Wishes};
use super::raw::{Answer, Client, buy_request, until};

const PAGE: &str = "GET /api/v1/spike/events/7 HTTP/1.1\r\nHost: t\r\n\r\n";
/// A header that the lane does not know.
const AT_HYPER: &str = "X-Unknown: 1\r\n";

/// A core whose event has nothing left, and whose flag says so.
fn sold_out(env: &[(&'static str, &str)]) -> HotCore {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let core = HotCore::start_with(Wishes { env, stock: 1, ..Wishes::default() });
    assert_eq!(core.client().buy(&core.token(1), "", "").status, 202);
    core
}

/// Presses anew until the flag is certain and the lane has answered: every half second one press is hyper's, as the probe.
fn in_lane(core: &HotCore, client: &mut Client) -> Answer {
    let mut answered = None;
    until("the lane answers", || {
        let before = core.shared.counters.sum(Counter::FastLane);
        let answer = client.buy(&core.token(2), "", r#"{"quantity":1}"#);
        assert_eq!((answer.status, answer.reason().as_str()), (409, "sold-out"));
        let told = core.shared.counters.sum(Counter::FastLane) - before;
        assert!(told <= 1, "one press, {told} answers");
        answered = (told == 1).then_some(answer);
        told == 1
    });
    answered.unwrap()
}

/// The head without what differs from answer to answer.
fn shape(answer: &Answer) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((name @ ("x-request-id" | "date"), value)) => format!("{name}: {} bytes", value.len()),
        _ => line.to_owned(),
    };
    answer.head.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn its_answer_is_hypers_byte_for_byte() {
    for env in [&[][..], &[("SPIKE_HTTP_CORS_ORIGINS", "https://shop.example")]] {
        let core = sold_out(env);
        let lane = in_lane(&core, &mut core.client());
        let hyper = core.client().buy(&core.token(2), AT_HYPER, r#"{"quantity":1}"#);
        assert_eq!((shape(&lane), &lane.body), (shape(&hyper), &hyper.body));
        let id = lane.header("x-request-id").unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_ne!(Some(id), hyper.header("x-request-id"));
    }
}

#[test]
fn without_it_the_answers_are_the_same() {
    let core = sold_out(&[("SPIKE_HOT_FAST_LANE", "false")]);
    let mut client = core.client();
    for _ in 0..5 {
        assert_eq!(client.buy(&core.token(2), "", "").reason(), "sold-out");
    }
    assert_eq!(core.shared.counters.sum(Counter::FastLane), 0);
}

#[test]
fn what_is_pipelined_is_answered_once_and_in_order() {
    let core = sold_out(&[]);
    let press = buy_request(&core.token(2), "", r#"{"quantity":1}"#);
    let unknown = press.replace("events/7/", "events/8/");
    let sent = [&press, &press, &press, PAGE, &press, &unknown, &press, PAGE, &press];
    let wanted = [409, 409, 409, 200, 409, 404, 409, 200, 409];
    let mut client = core.client();
    for _ in 0..3 {
        client.send(sent.concat().as_bytes());
        let statuses: Vec<u16> = wanted.iter().map(|_| client.answer().unwrap().status).collect();
        assert_eq!(statuses, wanted);
    }
    // Nothing is left over: the next answer is that of the next request.
    client.send(PAGE.as_bytes());
    assert_eq!(client.answer().unwrap().status, 200);
}

#[test]
fn a_press_in_pieces_is_one_press() {
    let core = sold_out(&[]);
    let press = buy_request(&core.token(2), "", r#"{"quantity":1}"#);
    let before = core.shared.counters.requests(HotRoute::Buy, Outcome::SoldOut);
    let cuts = (1..press.len()).step_by(7);
    let many = cuts.len() as u64;
    for cut in cuts {
        let mut client = core.client();
        client.send(&press.as_bytes()[..cut]);
        // The page's answer to another client says that the core has been round meanwhile.
        assert_eq!(core.client().get("/api/v1/spike/events/7", "").status, 200);
        client.send(&press.as_bytes()[cut..]);
        assert_eq!(client.answer().unwrap().reason(), "sold-out", "cut at {cut}");
    }
    assert_eq!(core.shared.counters.requests(HotRoute::Buy, Outcome::SoldOut) - before, many);
}

#[test]
fn a_connection_goes_to_hyper_and_comes_back() {
    let core = sold_out(&[]);
    let mut client = core.client();
    for _ in 0..5 {
        client.send(PAGE.as_bytes());
        assert_eq!(client.answer().unwrap().status, 200);
        in_lane(&core, &mut client);
    }
}

#[test]
fn who_rests_holds_no_buffers_and_is_served_when_it_wakes() {
    let core = HotCore::start();
    let mut clients: Vec<Client> = (0..3).map(|_| core.client()).collect();
    for (user, client) in (1..).zip(&mut clients) {
        assert_eq!(client.buy(&core.token(user), "", "").status, 202);
    }
    until("all have left hyper", || core.shared.counters.sum(Counter::ConnectionsAtHyper) == 0);
    assert_eq!(core.shared.counters.sum(Counter::ConnectionsOpen), 3);
    for (user, client) in (1..).zip(&mut clients) {
        let answer = client.get("/api/v1/spike/events/7/orders/mine", &core.token(user));
        assert_eq!(answer.status, 200);
    }
    until("and again", || core.shared.counters.sum(Counter::ConnectionsAtHyper) == 0);
    core.shared.drain.advance(DrainPhase::Unready);
    core.shared.drain.advance(DrainPhase::Closing);
    assert!(clients.iter_mut().all(Client::closed), "a drain ends those who rest");
}

#[test]
fn a_body_that_was_not_read_is_never_taken_for_a_request() {
    let core = sold_out(&[]);
    in_lane(&core, &mut core.client());
    let hidden = buy_request(&core.token(3), "", "").repeat(3);
    let head = format!(
        "POST /api/v1/spike/events/7/orders HTTP/1.1\r\nHost: t\r\n{AT_HYPER}Content-Length: {}\r\n\r\n",
        hidden.len()
    );
    for pieces in [vec![head.clone(), hidden.clone()], vec![format!("{head}{hidden}")]] {
        let answered = core.shared.counters.sum(Counter::SoldOut);
        let mut client = core.client();
        for piece in &pieces {
            client.try_send(piece.as_bytes());
            core.client().get("/api/v1/spike/events/7", "");
        }
        assert_eq!(client.answer().unwrap().reason(), "sold-out");
        // Whether the connection lives on is hyper's to say; if it does, what comes next is the page.
        client.try_send(PAGE.as_bytes());
        assert!(client.answer().is_none_or(|next| next.status == 200));
        assert_eq!(core.shared.counters.sum(Counter::SoldOut) - answered, 1, "{} pieces", pieces.len());
    }
}

#[test]
fn a_reader_who_is_slow_gets_every_answer() {
    const PRESSES: usize = 30_000;
    let core = sold_out(&[]);
    let press = buy_request(&core.token(2), "", "");
    let (mut client, mut writer) = core.client().with_writer();
    let sender = std::thread::spawn(move || writer(&press.repeat(PRESSES)));
    for at in 0..PRESSES {
        let answer = client.answer().unwrap_or_else(|| panic!("closed after {at} answers"));
        assert_eq!(answer.status, 409);
    }
    sender.join().unwrap();
    assert!(core.shared.counters.sum(Counter::FastLane) > 0);
}
