//! One sale from its announcement to its end, without an operator where none is needed: changed, warmed up by itself,
//! bought in, watched by its buyer, closed, and its units back in the inventory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use spike_domain::EventId;
use spike_domain::clock::{now_ms, rfc3339};

use crate::poll::until;
use crate::shop::Shop;
use crate::system::{order_of, orders_path};

#[test]
fn a_sale_lives_from_its_announcement_to_its_end() {
    let mut shop = Shop::start(2);
    let price = json!({ "minor": 100, "currency": "EUR" });
    let product = json!({ "sku": "THING", "name": "Thing", "price": price, "stock": 10 });
    let product = shop.as_admin("POST", "/api/v1/products", &product)["id"].clone();
    let inventory = |shop: &Shop| {
        let answer = shop.get(&format!("/api/v1/products/{product}/inventory")).expect("an answer").json();
        ["available", "reserved", "sold"].map(|place| answer["data"][place].as_u64().expect("units"))
    };
    let event = shop.as_admin(
        "POST",
        "/api/v1/admin/spike/events",
        &json!({
            "product_id": product, "name": "Sale", "price": price, "total": 4,
            "starts_at": rfc3339(now_ms() + 3_600_000), "ends_at": rfc3339(now_ms() + 7_200_000),
        }),
    );
    let event = EventId(event["id"].as_i64().expect("an id"));
    assert_eq!(inventory(&shop), [6, 4, 0]);
    // Sooner and larger: within the time of the automatic warm-up.
    let soon = json!({ "total": 6, "starts_at": rfc3339(now_ms() + 2000) });
    let changed = shop.as_admin("PATCH", &format!("/api/v1/admin/spike/events/{event}"), &soon);
    assert_eq!((&changed["total"], inventory(&shop)), (&json!(6), [4, 6, 0]));

    let (_, token) = shop.take_buyers(1).remove(0);
    let bought = until("it sells when it has started, and nobody has warmed it up", || {
        shop.buy(event, &token, None).filter(|answer| answer.status == 202)
    });
    let order = order_of(&bought);
    let mut stream = Stream::open(&shop, &format!("{}/{order}/events", orders_path(event)), &token);
    let mut seen = vec![stream.next_state()];
    while seen.last().is_some_and(|state| state != "pending") {
        seen.push(stream.next_state());
    }
    // A worker is fast: the first look may find the row written already.
    assert!(
        matches!(
            seen.iter().map(String::as_str).collect::<Vec<_>>()[..],
            ["pending"] | ["queued", "pending"]
        ),
        "{seen:?}"
    );
    assert_eq!(shop.order_status(event, order, &token).as_deref(), Some("pending"));

    let closed = shop.as_admin("POST", &format!("/api/v1/admin/spike/events/{event}/close"), &json!({}));
    assert_eq!(closed["conservation"]["S"], 6);
    until("what is left goes back", || (inventory(&shop) == [9, 1, 0]).then_some(()));
    let (_, late) = shop.take_buyers(1).remove(0);
    assert_eq!(shop.buy(event, &late, None).expect("an answer").refused(410), "ended");
    let report = shop.as_admin("POST", &format!("/api/v1/admin/spike/events/{event}/reconcile"), &json!({}));
    assert_eq!((&report["differences"], &report["returned"]), (&json!([]), &json!(5)), "{report}");
    drop(stream);
    assert_eq!(shop.leave(event).len(), 1);
}

/// A stream of events, read as it comes.
struct Stream {
    socket: TcpStream,
    read: String,
}

impl Stream {
    fn open(shop: &Shop, path: &str, token: &str) -> Self {
        let mut socket = TcpStream::connect(shop.http).expect("a connection");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: shop\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).expect("a request");
        let mut this = Self { socket, read: String::new() };
        let head = this.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        this
    }

    /// The state of the next event.
    fn next_state(&mut self) -> String {
        loop {
            let line = self.until("\n");
            if let Some(data) = line.trim_end().strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).expect("JSON");
                return data["status"].as_str().expect("a state").to_owned();
            }
        }
    }

    fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.read.find(end) {
                return self.read.drain(..at + end.len()).collect();
            }
            let mut piece = [0; 4096];
            let count = self.socket.read(&mut piece).expect("bytes in time");
            assert!(count > 0, "closed: {:?}", self.read);
            self.read.push_str(std::str::from_utf8(&piece[..count]).expect("ASCII"));
        }
    }
}
