//! The gateway's table of routes, row by row, asked over HTTP by everybody who may come: what the hot cores answer and what
//! the control API does. A new row is tested by being there; what it answers to those it lets in must be said here.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use spike_gateway::control::{Access, ROUTES, Route, Side};

use crate::callers::{Caller, change, post};
use crate::http::{Answer, call};
use crate::poll::until;
use crate::system::{Sale, System, order_of, orders_path};

/// Everybody, and what belongs to one of them.
struct World {
    system: System,
    event: i64,
    product: i64,
    /// Of the owner, in the event.
    pressed: String,
    /// Of the owner, without an event.
    ordinary: String,
    owner: Caller,
    other: Caller,
    /// A user who has nothing.
    user: Caller,
    disabled: Caller,
    /// An administrator's token of one who is none any more.
    demoted: Caller,
    /// The same account, logged in again.
    demoted_again: Caller,
}

impl World {
    fn new() -> Self {
        let system = System::start(&[]);
        let event = system.open(Sale::of(50));
        let at = system.http;
        let [owner, other, user, disabled, demoted] = std::array::from_fn(|_| Caller::register(at));
        change(&system, demoted.id, &json!({ "role": "admin" }));
        let demoted = demoted.log_in(at);
        // They are what they are called when the tokens are there.
        assert_eq!(system.get("/api/v1/admin/users", &demoted.access).status, 200);
        assert_eq!(system.get("/api/v1/users/me", &disabled.access).status, 200);
        change(&system, disabled.id, &json!({ "disabled": true }));
        change(&system, demoted.id, &json!({ "role": "user" }));
        let demoted_again = demoted.log_in(at);

        let page = system.get(&format!("/api/v1/spike/events/{event}"), &owner.access).json();
        let product = page["data"]["product_id"].as_i64().expect("an id");
        let pressed = system.buy(event, &owner.access, &[], None);
        assert_eq!(pressed.status, 202, "{pressed:?}");
        let pressed = order_of(&pressed).to_string();
        until("the order has its row", || {
            let seen = system.get(&format!("/api/v1/orders/{pressed}"), &owner.access);
            (seen.status == 200).then_some(())
        });
        let body = json!({ "sku": "EVERY-ROUTE", "name": "Lamp", "price": { "minor": 100, "currency": "EUR" },
            "stock": 5 });
        let lamp = post(at, "/products", Some(system.admin_token()), &body).json();
        let body = json!({ "items": [{ "product_id": lamp["data"]["id"], "quantity": 1 }] }).to_string();
        let bearer = format!("Bearer {}", owner.access);
        let headers = [("Authorization", &*bearer), ("Idempotency-Key", "ordinary")];
        let ordinary = call(at, "POST", "/api/v1/orders", &headers, Some(&body));
        let ordinary = order_of(&ordinary).to_string();
        let event = event.0;
        Self {
            system,
            event,
            product,
            pressed,
            ordinary,
            owner,
            other,
            user,
            disabled,
            demoted,
            demoted_again,
        }
    }

    /// Everybody by name, with the token and whether it is a living one of a user or of an administrator.
    fn callers(&self) -> [(&'static str, Option<&str>, Rank); 9] {
        [
            ("nobody", None, Rank::Nobody),
            ("somebody with garbage", Some("x.y.z"), Rank::Nobody),
            ("a user", Some(&self.user.access), Rank::User),
            ("the owner", Some(&self.owner.access), Rank::User),
            ("another user", Some(&self.other.access), Rank::User),
            ("an administrator", Some(self.system.admin_token()), Rank::Admin),
            ("a disabled user", Some(&self.disabled.access), Rank::Nobody),
            ("a demoted administrator", Some(&self.demoted.access), Rank::Nobody),
            ("a demoted administrator who has logged in again", Some(&self.demoted_again.access), Rank::User),
        ]
    }

    /// A row's path with ids of things that are there; orders are the owner's.
    fn there(&self, path: &str) -> String {
        let order = if path.starts_with("/api/v1/orders/") { &self.ordinary } else { &self.pressed };
        path.replace("{event}", &self.event.to_string())
            .replace("{product}", &self.product.to_string())
            .replace("{user}", &self.owner.id.to_string())
            .replace("{order}", order)
            .replace("{reason}", "not-found")
            .replace("{file}", "start.js")
    }

    /// The same path with an order that is not there, and with nothing of it there where it names no order.
    fn absent(&self, path: &str) -> String {
        let path = match path.contains("{order}") {
            true => path.replace("{event}", &self.event.to_string()),
            false => path.to_owned(),
        };
        path.split('/')
            .map(|part| if part.starts_with('{') { nothing(part) } else { part })
            .collect::<Vec<_>>()
            .join("/")
    }

    fn ask(&self, route: &Route, path: &str, token: Option<&str>, body: Option<&str>) -> Answer {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let key = format!("key-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("X-Request-Id", "the-same"), ("If-Match", "*")];
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        // A press of buy without one would be another press.
        if route.path != "/api/v1/spike/events/{event}/orders" {
            headers.push(("Idempotency-Key", &key));
        }
        call(self.system.http, route.method, path, &headers, body)
    }
}

/// What somebody's token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Nobody,
    User,
    Admin,
}

fn nothing(name: &str) -> &'static str {
    match name {
        "{event}" | "{product}" | "{user}" => "999999999",
        _ => "0190f6f0-0000-7000-8000-000000000000",
    }
}

/// What a row answers to those it lets in, who send it an object with a role in it and ids of nothing; on the hot side no body
/// and the ids of the owner's things.
fn inside(route: &Route) -> &'static [u16] {
    match (route.method, route.path.trim_start_matches("/api/v1")) {
        ("GET", "/errors/{reason}" | "/docs/{file}" | "/products/{product}") => &[404],
        ("GET", "/products/{product}/inventory" | "/spike/events/{event}/stats") => &[404],
        ("GET", "/orders/{order}" | "/admin/products/{product}/movements") => &[404],
        ("GET", "/spike/events/{event}") => &[200],
        ("GET", "/spike/events/{event}/orders/mine") => &[200],
        // The owner sees it, and nobody else.
        ("GET", "/spike/events/{event}/orders/{order}") => &[200, 404],
        ("GET", "/spike/events/{event}/orders/{order}/events") => &[200, 404],
        ("POST", "/spike/events/{event}/orders") => &[202, 409],
        ("GET", path) if !path.contains('{') => &[200],
        ("DELETE", "/admin/limits") => &[200],
        ("DELETE", _) => &[404, 422],
        // An unknown field, or no such thing, whichever is looked at first; a callback without its signature.
        ("POST" | "PATCH" | "PUT", _) => &[400, 404, 422],
        _ => panic!("say here what {route:?} answers"),
    }
}

#[test]
fn every_row_lets_in_whom_it_names_on_both_sides() {
    let world = World::new();
    let claimed = json!({ "role": "admin" }).to_string();
    let mut asked = [0, 0];
    for route in ROUTES {
        let hot = route.side == Side::Hot;
        let (there, absent) = (world.there(route.path), world.absent(route.path));
        for (who, token, rank) in world.callers() {
            let lets_in = match route.access {
                Access::Anyone => true,
                Access::User => rank != Rank::Nobody,
                Access::Admin => rank == Rank::Admin,
            };
            // Those who are not let in learn nothing from things that are there, nor from a role they claim.
            let paths = match (hot, lets_in) {
                (true, true) => vec![there.clone()],
                (true, false) => vec![there.clone(), format!("{there}?role=admin")],
                (false, true) => vec![absent.clone()],
                (false, false) => vec![there.clone(), absent.clone(), format!("{there}?role=admin")],
            };
            let want: &[u16] = match (lets_in, rank) {
                (true, _) => inside(route),
                (false, Rank::Nobody) => &[401],
                (false, _) => &[403],
            };
            for path in paths {
                let body = (!hot && route.method != "GET").then_some(claimed.as_str());
                let got = world.ask(route, &path, token, body);
                assert!(
                    want.contains(&got.status),
                    "{who} at {} {path}: not {want:?} but {got:?}",
                    route.method
                );
                asked[usize::from(hot)] += 1;
            }
        }
    }
    assert!(asked[0] > 300 && asked[1] > 50, "{asked:?} questions to the control API and to the hot cores");
}

#[test]
fn every_id_names_to_others_what_is_absent() {
    let world = World::new();
    let admin = Caller { access: world.system.admin_token().to_owned(), ..world.user.clone() };
    let others = [("a user", &world.user), ("another user", &world.other), ("an administrator", &admin)];
    let mut orders = 0;
    // A press of buy names an event, which is everybody's, and would make an order of their own.
    let buy = |route: &&Route| (route.method, route.side) == ("POST", Side::Hot);
    for route in ROUTES.iter().filter(|route| route.path.contains('{') && !buy(route)) {
        let (there, absent) = (world.there(route.path), world.absent(route.path));
        let body = matches!(route.method, "POST" | "PATCH" | "PUT").then_some("{}");
        for (who, caller) in others {
            let both = [&there, &absent].map(|path| {
                let answer = world.ask(route, path, Some(&caller.access), body);
                (answer.status, shown(&answer))
            });
            let what = format!("{who} at {} {}", route.method, route.path);
            match route.access {
                Access::User if route.path.contains("{order}") => {
                    assert_eq!(both[0], both[1], "{what}: another's order is as absent as none");
                    assert_eq!(both[0].0, 404, "{what}: {}", both[0].1);
                    orders += 1;
                }
                Access::Admin if who != "an administrator" => {
                    assert_eq!(both[0], both[1], "{what}: a user learns nothing");
                    assert_eq!(both[0].0, 403, "{what}: {}", both[0].1);
                }
                // What is everybody's, and an event that a user has nothing in.
                Access::Anyone => assert_eq!((both[0].0, both[1].0), (200, 404), "{what}: {}", both[0].1),
                Access::User | Access::Admin => {}
            }
        }
    }
    assert_eq!(orders, 5 * others.len(), "an order's rows: status, stream, one, pay, cancel");

    // All of that has changed nothing, and the owner sees it.
    let own = |path: String| {
        let seen = world.system.get(&path, &world.owner.access);
        assert_eq!(seen.status, 200, "{path}: {seen:?}");
        seen
    };
    let path = format!("{}/{}", orders_path(spike_domain::EventId(world.event)), world.pressed);
    own(format!("{path}/events"));
    for path in
        [path, format!("/api/v1/orders/{}", world.pressed), format!("/api/v1/orders/{}", world.ordinary)]
    {
        assert_eq!(own(path.clone()).json()["data"]["status"], "pending", "{path}");
    }
    // Nobody finds it in a list of theirs.
    for (who, caller) in others {
        for path in ["/api/v1/orders", "/api/v1/spike/orders"] {
            assert_eq!(
                world.system.get(path, &caller.access).json()["data"]["items"],
                json!([]),
                "{who} {path}"
            );
        }
        let mine = format!("{}/mine", orders_path(spike_domain::EventId(world.event)));
        assert_eq!(world.system.get(&mine, &caller.access).status, 404, "{who}");
    }
}

/// Head and body, less the time at which they were written.
fn shown(answer: &Answer) -> String {
    let head: Vec<_> =
        answer.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect();
    format!("{}\n\n{}", head.join("\n"), String::from_utf8_lossy(&answer.body))
}
