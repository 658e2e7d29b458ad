//! What holds for every row of the table: who is let in, that another user's things are absent, and that no text does
//! harm. A new row is tested by being there; one with an id of somebody's must be given its case here.

use axum::body::{Body, to_bytes};
use serde_json::{Value, json};
use spike_domain::{EntryId, EventId, OrderId, OutboxEntry, QueuedOrder, Role, UserId};
use spike_gateway::control::{Access, ROUTES, Route, Side, openapi_document};
use spike_store::{NewAudit, UserChange};

use super::Api;

/// An answer as it came, less what differs from request to request.
#[derive(Debug, PartialEq, Eq)]
pub struct Raw {
    pub status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// A path of the table with ids that are well-formed and name nothing.
pub fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { absent(part) } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

/// Sends `body` with a request id of the caller's.
pub async fn call(api: &Api, route: &Route, path: &str, token: Option<&str>, id: &str, body: &[u8]) -> Raw {
    let below = path.strip_prefix("/api/v1").map(str::to_owned);
    let request = Api::request(route.method, below.as_deref().unwrap_or(""), token);
    let request = if below.is_none() { request.uri(path) } else { request };
    let request = request
        .header("content-type", "application/json")
        .header("x-request-id", id)
        .header("idempotency-key", id)
        .header("if-match", "*");
    let answer = api.answer(request.body(Body::from(body.to_vec())).unwrap()).await;
    let (head, body) = answer.into_parts();
    let bytes = to_bytes(body, 1 << 22).await.unwrap();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect();
    Raw { status: head.status.as_u16(), headers, body: String::from_utf8_lossy(&bytes).into_owned() }
}

fn absent(name: &str) -> &'static str {
    match name {
        "{event}" | "{product}" | "{user}" => "999999999",
        _ => "0190f6f0-0000-7000-8000-000000000000",
    }
}

/// What somebody gets: the statuses allowed, or any but those of a closed door.
enum Want {
    Only(&'static [u16]),
    Inside,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_lets_in_whom_it_names() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (_, user) = api.account("user", Role::User).await;
    let (demoted, demoteds) = api.account("demoted", Role::Admin).await;
    let (off, offs) = api.account("off", Role::Admin).await;
    for (account, role, disabled) in [(demoted, Some(Role::User), None), (off, None, Some(true))] {
        let change = UserChange { role, disabled, version: None };
        api.store.change_user(account, change, 1000, &NewAudit::default()).await.unwrap();
    }
    let callers: [(&str, Option<&str>); 6] = [
        ("nobody", None),
        ("garbage", Some("x.y.z")),
        ("user", Some(&user)),
        ("admin", Some(&admin)),
        ("disabled", Some(&offs)),
        ("demoted", Some(&demoteds)),
    ];
    for route in ROUTES {
        for (who, token) in callers {
            let want = match (route.access, who) {
                (Access::Anyone, _) | (Access::User, "user" | "admin") | (Access::Admin, "admin") => {
                    Want::Inside
                }
                (_, "nobody" | "garbage") => Want::Only(&[401]),
                (Access::Admin, "user") => Want::Only(&[403]),
                (Access::Admin, _) => Want::Only(&[401, 403]),
                // Their tokens were revoked behind this process's back, which has no follower: e2e/every_route.rs asks a
                // gateway that has one.
                (Access::User, _) => continue,
            };
            // Neither body nor query lends a role.
            let path = format!("{}?role=admin", filled(route.path));
            for path in [filled(route.path), path] {
                let body = json!({"role": "admin"}).to_string();
                let got = call(&api, route, &path, token, "r-1", body.as_bytes()).await;
                let fine = match want {
                    Want::Only(statuses) => statuses.contains(&got.status),
                    Want::Inside => ![401, 403].contains(&got.status) && got.status < 500,
                };
                assert!(fine, "{who} at {} {path}: {got:?}", route.method);
            }
        }
    }
}

/// Whose a thing is that the ids of a path name.
enum Owner {
    /// Everybody may look at it.
    Public,
    /// The user of the test, who finds it under this path.
    User(String),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_another_is_as_absent_as_what_is_not_there() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (ann, annas) = api.account("ann", Role::User).await;
    let (_, bobs) = api.account("bob", Role::User).await;
    let (_, event) = api.sale(&admin, 10).await;
    let order = written(&api, event, ann).await;
    let owner = |route: &Route| match (route.method, route.path) {
        (_, "/api/v1/spike/events/{event}/orders" | "/api/v1/spike/events/{event}/orders/mine") => {
            Owner::Public
        }
        ("GET", "/api/v1/spike/events/{event}/orders/{order}") => {
            Owner::User(format!("/api/v1/spike/events/{event}/orders/{order}"))
        }
        (_, path) => {
            assert!(
                path.starts_with("/api/v1/orders/{order}") || path.contains("{order}/"),
                "no case for {path}"
            );
            Owner::User(path.replace("{order}", &order.to_string()).replace("{event}", &event.to_string()))
        }
    };
    let mut looked_at = 0;
    for route in ROUTES.iter().filter(|route| route.access == Access::User && route.path.contains('{')) {
        let Owner::User(path) = owner(route) else { continue };
        looked_at += 1;
        if route.method == "GET" && route.path.ends_with('}') {
            let own = call(&api, route, &path, Some(&annas), "r-0", b"").await;
            assert!(own.status == 200 && own.body.contains(&order.to_string()), "{path}: {own:?}");
        }
        let missing = call(&api, route, &filled(route.path), Some(&bobs), "r-1", b"{}").await;
        assert_eq!(missing.status, 404, "{route:?}: {missing:?}");
        for token in [&bobs, &admin] {
            let foreign = call(&api, route, &path, Some(token), "r-1", b"{}").await;
            assert_eq!(foreign, missing, "{} {path}", route.method);
        }
    }
    assert!(looked_at > 0);
    // What an administrator's id names is no user's business, there or not.
    for route in ROUTES.iter().filter(|route| route.access == Access::Admin && route.path.contains('{')) {
        let there = route.path.replace("{event}", &event.to_string()).replace("{user}", &ann.to_string());
        let there = call(&api, route, &filled(&there), Some(&bobs), "r-1", b"{}").await;
        assert_eq!(there, call(&api, route, &filled(route.path), Some(&bobs), "r-1", b"{}").await);
        assert_eq!(there.status, 403, "{route:?}");
    }
}

/// Texts that mean something to SQL, Lua, HTTP, a log, a terminal or a template.
const HOSTILE: [&str; 10] = [
    "'; DROP TABLE users; --",
    "1 OR 1=1",
    "\" UNION SELECT password_hash FROM users --",
    "redis.call('FLUSHALL')",
    "]] .. os.execute('id') .. [[",
    "a\r\nSet-Cookie: role=admin\r\n\r\n",
    "x\n2026-01-01 ERROR forged line",
    "${jndi:ldap://x}{{7*7}}%n%s%00",
    "\u{1b}[2J\u{202e}\u{feff}\u{2028}",
    "\0",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_in_any_field_is_ever_a_failure() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (product, event) = api.sale(&admin, 10).await;
    let document = openapi_document();
    let mut texts = 0;
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let fields: Vec<String> =
            schema["properties"].as_object().map_or_else(Vec::new, |p| p.keys().cloned().collect());
        let there =
            route.path.replace("{product}", &product.to_string()).replace("{event}", &event.to_string());
        // A wish that is understood waits for a worker, and there is none here.
        let path = filled(if route.side == Side::Waiting { route.path } else { &there });
        for hostile in HOSTILE {
            for field in &fields {
                let mut body = plausible(schema);
                body[field] = hostile.into();
                let got = call(&api, route, &path, Some(&admin), "r-1", body.to_string().as_bytes()).await;
                assert!(got.status < 500, "{} {path} {body}: {got:?}", route.method);
                kept(&got, field, hostile);
                texts += 1;
            }
            let escaped: String = hostile.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let query = format!(
                "{path}?{escaped}=1&email={escaped}&action={escaped}&target={escaped}&sort={escaped}&q={escaped}"
            );
            let got = call(&api, route, &query, Some(&admin), "r-1", b"{}").await;
            assert!(got.status < 500, "{} {query}: {got:?}", route.method);
            if route.path.contains('{') {
                let place = route
                    .path
                    .split('/')
                    .map(|part| if part.starts_with('{') { escaped.as_str() } else { part });
                let place = place.collect::<Vec<_>>().join("/");
                let got = call(&api, route, &place, Some(&admin), "r-1", b"{}").await;
                assert!(got.status < 500 && got.status >= 400, "{} {place}: {got:?}", route.method);
            }
        }
    }
    assert!(texts > 100, "{texts}");
}

/// What was taken is told again as it came.
fn kept(got: &Raw, field: &str, hostile: &str) {
    let body: Value = serde_json::from_str(&got.body).unwrap_or(Value::Null);
    let data = &body["data"][field];
    if got.status < 300 && data.is_string() {
        assert_eq!(data, hostile, "{field} was changed: {got:?}");
    }
}

/// A body in which every field that must be there has a value of its kind.
fn plausible(schema: &Value) -> Value {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let value = |name: &str| {
        let property = &schema["properties"][name];
        let example = &property["examples"][0];
        match (name, property["type"].as_str()) {
            ("starts_at", _) => json!("2020-01-01T00:00:00Z"),
            ("ends_at", _) => json!("2120-01-01T00:00:00Z"),
            ("price", _) => json!({"minor": 100, "currency": "EUR"}),
            (_, Some("integer")) => json!(1),
            (_, Some("boolean")) => json!(true),
            _ if !example.is_null() => example.clone(),
            _ => json!("a plain long text"),
        }
    };
    required.iter().filter_map(Value::as_str).map(|name| (name.to_owned(), value(name))).collect()
}

/// A row of one unit, as the worker writes it.
async fn written(api: &Api, event: EventId, user: UserId) -> OrderId {
    let row = api.store.event(event).await.unwrap().unwrap();
    let order = OrderId::new(1_763_800_000_000);
    let queued = QueuedOrder { order, user, quantity: 1, key: None, accepted_at_ms: 1_763_800_000_000 };
    let entry = OutboxEntry::new(EntryId { epoch: row.epoch, sequence: 1 }, vec![queued]);
    api.store.insert_entries(event, &[entry]).await.unwrap();
    order
}
