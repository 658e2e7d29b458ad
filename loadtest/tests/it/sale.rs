//! A whole sale against a shop of a few lines that speaks the contract of the buy route over real sockets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loadtest::{
    Buyer, Mode, OrderRow, Painter, PressPlan, Progress, SaleError, SaleSpec, Summary, audit,
    loopback_sources,
};
use spike_domain::clock::now_ms;
use spike_domain::{Conservation, EventId, OrderId, OrderStatus, UserId};

use crate::server::{Server, Talk, answer};

/// How the keys of a sale with seed 0x2a begin.
const KEY_START: &str = "press-2a-";

/// The stock and claims of the shop, and how it misbehaves.
#[derive(Default)]
struct Shop {
    left: usize,
    opens_at_ms: u64,
    claims: HashMap<String, OrderId>,
    keys: HashMap<String, OrderId>,
    early: usize,
    /// Answers the first accepted buy of every fifth claim by closing.
    drops: bool,
    /// Gives a repeated key another order.
    doubles: bool,
}

enum Reply {
    Say(String),
    Close,
}

impl Shop {
    fn buy(&mut self, request: &str) -> Reply {
        let header = |name: &str| request.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let user = header("Authorization: Bearer ").expect("every press has a token");
        let key = header("Idempotency-Key: ");
        if now_ms() < self.opens_at_ms {
            self.early += 1;
            return Reply::Say(answer(403, "", r#"{"code":2010,"reason":"not-started","message":"x"}"#));
        }
        if let Some(order) = key.as_ref().and_then(|key| self.keys.get(key)).copied() {
            let order = if self.doubles { OrderId::new(5) } else { order };
            return Reply::Say(accepted(order, "Idempotent-Replayed: true\r\n"));
        }
        if let Some(order) = self.claims.get(&user) {
            let body =
                format!(r#"{{"code":2002,"reason":"already-bought","data":{{"order_id":"{order}"}}}}"#);
            return Reply::Say(answer(409, "", &body));
        }
        if self.left == 0 {
            return Reply::Say(answer(409, "", r#"{"code":2000,"reason":"sold-out","message":"x"}"#));
        }
        self.left -= 1;
        let order = OrderId::new(now_ms());
        self.claims.insert(user, order);
        if let Some(key) = key {
            assert!(key.starts_with(KEY_START), "{key}");
            self.keys.insert(key, order);
        }
        if self.drops && self.claims.len().is_multiple_of(5) {
            Reply::Close
        } else {
            Reply::Say(accepted(order, ""))
        }
    }

    fn rows(&self) -> Vec<OrderRow> {
        let row = |(user, &order): (&String, &OrderId)| OrderRow {
            order,
            user: UserId(user.parse().unwrap()),
            status: OrderStatus::Pending,
            quantity: 1,
        };
        self.claims.iter().map(row).collect()
    }
}

fn accepted(order: OrderId, headers: &str) -> String {
    let body = format!(r#"{{"code":0,"message":"OK","data":{{"order_id":"{order}","status":"queued"}}}}"#);
    answer(202, &format!("Location: /api/v1/spike/events/9/orders/{order}\r\n{headers}"), &body)
}

async fn serve(mut talk: Talk, shop: Arc<Mutex<Shop>>) {
    while let Some(request) = talk.request().await {
        assert!(request.starts_with("POST /api/v1/spike/events/9/orders HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n{\"quantity\":1}"), "{request}");
        let reply = shop.lock().unwrap().buy(&request);
        match reply {
            Reply::Say(text) => talk.say(&text).await,
            Reply::Close => return,
        }
    }
}

fn spec(base: SocketAddr, start_at_ms: u64) -> SaleSpec {
    let sources: Vec<_> = loopback_sources(7).collect();
    let buyers = (1..=200).map(|user: i64| Buyer {
        user: UserId(user),
        token: user.to_string(),
        source: sources[usize::try_from(user).unwrap() % sources.len()],
    });
    SaleSpec {
        base,
        host: base.to_string(),
        event: EventId(9),
        start_at_ms,
        buyers: buyers.collect(),
        requests: 1000,
        connections: 16,
        presses: PressPlan { early: 0.02, replayed: 0.5 },
        quantity: 1,
        deadline: Duration::from_secs(10),
        seed: 0x2a,
    }
}

struct Ran {
    shop: Arc<Mutex<Shop>>,
    server: Server,
    sale: loadtest::SaleResult,
    audit: loadtest::Audit,
}

/// Runs a sale against a shop of `stock` units that was spoilt by `spoil`, and audits it.
async fn run(stock: usize, spoil: fn(&mut Shop)) -> Ran {
    let opens_at_ms = now_ms() + 1500;
    let mut shop = Shop { left: stock, opens_at_ms, ..Shop::default() };
    spoil(&mut shop);
    let shop = Arc::new(Mutex::new(shop));
    let shared = Arc::clone(&shop);
    let server = Server::start(move |talk| serve(talk, Arc::clone(&shared))).await;
    let progress = Arc::new(Progress::default());
    let painter = Painter::start(Arc::clone(&progress), stock as u64, 1, Mode::Silent);
    let sale = loadtest::run(spec(server.addr, opens_at_ms), Arc::clone(&progress)).await.unwrap();
    painter.finish().await;
    assert_eq!(progress.snapshot(), sale.figures);
    let rows = shop.lock().unwrap().rows();
    let count = |units: usize| i64::try_from(units).unwrap();
    let audit = audit(&loadtest::AuditInput {
        stock: stock as u64,
        quantity: 1,
        requests: sale.figures.sent,
        counts: sale.figures.counts,
        history: &sale.history,
        rows: &rows,
        conservation: Conservation {
            S: count(stock),
            R: count(stock - rows.len()),
            L: count(rows.len()),
            ..Conservation::default()
        },
    });
    Ran { shop, server, sale, audit }
}

#[tokio::test]
async fn a_sale_sells_its_stock_and_every_answer_is_counted() {
    let ran = run(120, |_| {}).await;
    let counts = ran.sale.figures.counts;
    assert_eq!((counts.accepted, counts.rejected, counts.errors), (120, 20, 0), "{:?}", ran.sale.figures);
    assert_eq!(counts.answered(), 1000);
    assert!(counts.sold_out > 0 && ran.sale.figures.words["replayed"] > 0, "{:?}", ran.sale.figures.words);
    assert!(ran.sale.figures.words["already-bought"] > 0);
    assert_eq!(ran.shop.lock().unwrap().early, 20, "pressed before the start, and no other was refused so");
    assert_eq!((ran.sale.figures.connected, ran.sale.history.acknowledged.len()), (16, 120));
    assert!(ran.audit.clean(), "{:?}", ran.audit.differences);
    assert!(ran.sale.requests_per_s > 0.0 && ran.sale.figures.latency.max_ms > 0.0);
    let summary = Summary::new(&ran.sale, Duration::ZERO, &ran.audit);
    assert!(summary.passed(&ran.audit));

    let received = ran.server.received();
    let mut sources: Vec<_> = received.iter().map(|one| one.peer.ip()).collect();
    sources.sort_unstable();
    sources.dedup();
    assert_eq!(sources.len(), 7, "buyers come from their addresses");
    // Sixteen, and the one that asked whether anybody is there.
    assert!(
        received.iter().all(|one| one.connection <= 16),
        "nothing was closed, so nothing was opened again"
    );
}

#[tokio::test]
async fn lost_answers_are_errors_whose_orders_are_still_accounted_for() {
    let ran = run(120, |shop| shop.drops = true).await;
    let counts = ran.sale.figures.counts;
    assert_eq!(counts.errors, 24, "every fifth of 120: {:?}", ran.sale.figures);
    assert_eq!(ran.sale.history.unknown.len(), 24);
    assert_eq!(ran.shop.lock().unwrap().claims.len(), 120);
    assert!((96..=120).contains(&counts.accepted), "a replay may be the first 202 of its order: {counts:?}");
    assert!(ran.audit.clean(), "{:?}", ran.audit.differences);
}

#[tokio::test]
async fn a_second_order_for_a_user_is_caught() {
    let ran = run(120, |shop| shop.doubles = true).await;
    assert!(!ran.sale.history.doubled.is_empty());
    assert!(ran.audit.doubled > 0 && ran.audit.lost > 0 && !ran.audit.clean());
}

#[tokio::test]
async fn a_sale_without_a_server_does_not_begin() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let refused = loadtest::run(spec(nobody, now_ms() + 5000), Arc::default()).await;
    assert!(matches!(refused, Err(SaleError::Unreachable { .. })), "{refused:?}");
    let late = loadtest::run(spec(nobody, now_ms() - 1), Arc::default()).await;
    assert!(matches!(late, Err(SaleError::Spec { field: "start_at_ms", .. })), "{late:?}");
}
