//! The open-loop generator against a server that stalls, that answers nothing, and that sells.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loadtest::Buyer;
use loadtest::open::{OpenProgress, OpenResult, OpenSpec, Scenario, Stream, run};
use spike_domain::{EventId, OrderId, ProductId, UserId};

use super::server::{Server, Talk, answer};

fn spec(server: &Server, scenario: Scenario, rate_per_s: f64, connections_max: usize) -> OpenSpec {
    OpenSpec {
        base: server.addr,
        host: "shop".into(),
        streams: vec![Stream { name: "it".into(), rate_per_s, scenario }],
        duration: Duration::from_secs(1),
        connections_max,
        deadline: Duration::from_secs(20),
        seed: 7,
        sources: Vec::new(),
    }
}

async fn load(spec: OpenSpec) -> OpenResult {
    let progress = Arc::new(OpenProgress::new(&spec));
    let loaded = tokio::time::timeout(Duration::from_secs(60), run(spec, progress)).await;
    let result = loaded.expect("a load that ends").unwrap();
    for stream in &result.streams {
        let figures = &stream.figures;
        assert_eq!(figures.offered, figures.sent + figures.not_sent, "every arrival has one outcome");
        assert_eq!(figures.sent, figures.answers.answered(), "and so has every request");
    }
    result
}

fn pages() -> Scenario {
    Scenario::Browse { events: Vec::new(), products: vec![ProductId(1)] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_a_stall_kept_from_being_sent_count_its_time() {
    const STALL: Duration = Duration::from_millis(600);
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let server = Server::start(move |mut talk: Talk| {
        let count = count.clone();
        async move {
            while talk.request().await.is_some() {
                if count.fetch_add(1, Ordering::SeqCst) == 20 {
                    tokio::time::sleep(STALL).await;
                }
                talk.say(&answer(200, "", "{}")).await;
            }
        }
    })
    .await;
    let result = load(spec(&server, pages(), 200.0, 1)).await;
    let figures = &result.streams[0].figures;
    assert_eq!((figures.not_sent, figures.answers.accepted), (0, figures.offered));
    // One request of some two hundred met the stall; those behind it waited as long as it took, and a closed loop would
    // have one slow answer only.
    let stalled = f64::from(u32::try_from(STALL.as_millis()).unwrap());
    assert!(figures.latency.max_ms >= stalled, "{figures:?}");
    assert!(figures.latency.p95_ms > stalled / 4.0, "{figures:?}");
    assert_eq!(result.connections, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_before_a_connection_is_free_is_counted() {
    let server = Server::start(|mut talk: Talk| async move {
        talk.request().await;
        // No answer, ever; the client closes.
        talk.request().await;
    })
    .await;
    let spec = OpenSpec { deadline: Duration::from_millis(200), ..spec(&server, pages(), 100.0, 2) };
    let result = load(spec).await;
    let figures = &result.streams[0].figures;
    assert!(figures.not_sent > 0 && figures.answers.errors == figures.sent, "{figures:?}");
    assert!(result.connections <= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buyers_press_once_before_anyone_presses_twice_and_what_they_were_told_is_kept() {
    let server = Server::start(|mut talk: Talk| async move {
        while talk.request().await.is_some() {
            let order = OrderId::new(1);
            talk.say(&answer(202, "", &format!(r#"{{"code":0,"data":{{"order_id":"{order}"}}}}"#))).await;
        }
    })
    .await;
    let buyer = |user: i64| Buyer {
        user: UserId(user),
        token: format!("token-{user}"),
        source: std::net::Ipv4Addr::UNSPECIFIED,
    };
    let buyers: Vec<Buyer> = (1..=40).map(buyer).collect();
    let result =
        load(spec(&server, Scenario::Spike { event: EventId(9), buyers, quantity: 1 }, 100.0, 8)).await;
    let told = &result.sales[0];
    assert_eq!((told.event, told.requests), (EventId(9), result.streams[0].figures.sent));
    assert!(told.requests > 40, "each presses, and some again: {}", told.requests);
    assert_eq!(told.history.acknowledged.len(), 40);
    assert!(
        server
            .received()
            .iter()
            .all(|request| request.text.starts_with("POST /api/v1/spike/events/9/orders "))
    );
}
