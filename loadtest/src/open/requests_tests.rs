use std::net::Ipv4Addr;
use std::time::Duration;

use spike_domain::{Currency, Money, ProductId, UserId};

use super::*;

const HOST: &str = "shop:80";

fn arrival(item: u32, product: u32) -> Arrival {
    Arrival { at: Duration::ZERO, stream: 2, number: 17, item, product }
}

fn text(scenario: &Scenario, item: u32, product: u32) -> String {
    let requests = Requests::new(scenario, HOST, "9f");
    let mut buffers = Buffers::default();
    String::from_utf8(requests.get(&arrival(item, product), &mut buffers).as_bytes().to_vec()).unwrap()
}

fn buyers() -> Vec<Buyer> {
    let buyer = |user: i64| Buyer {
        user: UserId(user),
        token: format!("token-{user}"),
        source: Ipv4Addr::UNSPECIFIED,
    };
    vec![buyer(1), buyer(2)]
}

#[test]
fn a_login_escapes_what_json_must() {
    let accounts = vec![("a@b.example".to_owned(), "say \"x\"".to_owned())];
    let sent = text(&Scenario::Login { accounts }, 0, 0);
    assert!(sent.starts_with("POST /api/v1/auth/login HTTP/1.1\r\nHost: shop:80\r\n"), "{sent}");
    assert!(sent.ends_with("\r\n\r\n{\"email\":\"a@b.example\",\"password\":\"say \\\"x\\\"\"}"), "{sent}");
}

#[test]
fn every_page_of_the_list_has_its_request() {
    let paths = list_paths(2, 50, &["lamp é&".to_owned()]);
    assert_eq!(paths.len(), 2 + 3 * 2 + 1);
    assert_eq!(paths[1], "/api/v1/products?page=2&page_size=50");
    assert_eq!(paths[3], "/api/v1/products?page=2&page_size=50&sort=price,asc");
    assert_eq!(paths[8], "/api/v1/products?page=1&page_size=50&q=lamp%20%C3%A9%26");
    let parts = plan_list(2, 1);
    assert_eq!(parts.last().unwrap().1, 8..9);
    assert_eq!(plan_list(2, 0).last().unwrap().1, 2..8);
}

#[test]
fn browsing_sees_events_and_products() {
    let scenario = Scenario::Browse { events: vec![EventId(4)], products: vec![ProductId(5), ProductId(6)] };
    assert!(text(&scenario, 0, 0).starts_with("GET /api/v1/spike/events/4 HTTP/1.1\r\n"));
    assert!(text(&scenario, 2, 0).starts_with("GET /api/v1/products/6 HTTP/1.1\r\n"));
    assert_eq!(plan_browse(1, 2), [(0.5, 0..1), (0.5, 1..3)]);
    assert_eq!(plan_browse(0, 2), [(0.5, 0..2)]);
}

#[test]
fn an_order_has_its_price_and_a_key_of_its_own() {
    let price = Money { minor: 4999, currency: Currency::parse("EUR").unwrap() };
    let products = vec![ProductToOrder { id: ProductId(3), price }; 2];
    let sent = text(&Scenario::Order { buyers: buyers(), products }, 1, 1);
    assert!(sent.starts_with("POST /api/v1/orders HTTP/1.1\r\n"), "{sent}");
    assert!(
        sent.contains("\r\nAuthorization: Bearer token-2\r\nIdempotency-Key: open-9f-2-17\r\n"),
        "{sent}"
    );
    let body: serde_json::Value = serde_json::from_str(sent.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let want = json!({
        "items": [{ "product_id": 3, "quantity": 1 }],
        "amount": { "minor": 4999, "currency": "EUR" },
    });
    assert_eq!(body, want);
}

#[test]
fn a_press_carries_its_buyers_token() {
    let spike = Scenario::Spike { event: EventId(8), buyers: buyers(), quantity: 2 };
    let sent = text(&spike, 0, 0);
    assert!(sent.starts_with("POST /api/v1/spike/events/8/orders HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("Bearer token-1\r\n") && sent.ends_with("{\"quantity\":2}"), "{sent}");
    let bots = text(&Scenario::Bots { event: EventId(8), buyers: buyers() }, 1, 0);
    assert!(bots.contains("Bearer token-2\r\n") && bots.ends_with("{\"quantity\":1}"), "{bots}");
}
