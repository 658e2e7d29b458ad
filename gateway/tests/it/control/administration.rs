//! Administrators look at accounts and change them; what they do is on record.

use serde_json::{Value, json};
use spike_domain::Role;
use spike_gateway::control::{Access, ROUTES};

use super::Api;
use super::every_route::{call, filled};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_found_and_changed() {
    let api = Api::start().await;
    let (root, admin) = api.account("root", Role::Admin).await;
    let (ann, annas) = api.account("ann", Role::User).await;
    let path = format!("/admin/users/{ann}");
    let list = async |query: &str| {
        let answer = api.get(&format!("/admin/users{query}"), Some(&admin)).await;
        let items = answer.data()["items"].as_array().unwrap().clone();
        (
            items.iter().map(|item| item["id"].as_i64().unwrap()).collect::<Vec<_>>(),
            answer.data()["total"].clone(),
        )
    };
    assert_eq!(list("").await, (vec![ann.0, root.0], json!(2)));
    assert_eq!(list("?email=ROO&role=admin&disabled=false").await, (vec![root.0], json!(1)));
    assert_eq!(list("?disabled=true").await, (vec![], json!(0)));
    assert_eq!(list("?page=2&page_size=1").await, (vec![root.0], json!(2)));

    let disabled = api.patch(&path, Some(&admin), &json!({"disabled": true})).await;
    assert_eq!((&disabled.data()["disabled"], &disabled.data()["version"]), (&json!(true), &json!(1)));
    let again = api.patch(&path, Some(&admin), &json!({"disabled": true, "role": "user"})).await;
    assert_eq!(again.data(), disabled.data(), "asking twice changes nothing");
    assert_eq!(api.get("/users/me", Some(&annas)).await.status, 401);
    let opened =
        api.patch(&path, Some(&admin), &json!({"disabled": false, "role": "admin", "version": 1})).await;
    assert_eq!((&opened.data()["disabled"], &opened.data()["role"]), (&json!(false), &json!("admin")));

    let stale = api.patch(&path, Some(&admin), &json!({"role": "user", "version": 1})).await;
    assert_eq!((stale.status, stale.reason()), (412, "precondition-failed"));
    let own = api.patch(&format!("/admin/users/{root}"), Some(&admin), &json!({"disabled": true})).await;
    assert_eq!((own.status, own.reason()), (409, "own-account"));
    api.patch(&path, Some(&admin), &json!({"role": "user"})).await.data();
    let last = api.patch(&format!("/admin/users/{root}"), Some(&admin), &json!({"role": "user"})).await;
    assert_eq!((last.status, last.reason()), (409, "last-administrator"));
    for (body, field) in [
        (json!({}), "role"),
        (json!({"role": "root"}), "role"),
        (json!({"role": "ADMIN"}), "role"),
        (json!({"disabled": "true"}), "disabled"),
        (json!({"disabled": true, "password": "x"}), "password"),
        (json!({"disabled": true, "version": -1}), "version"),
    ] {
        let answer = api.patch(&path, Some(&admin), &body).await;
        assert_eq!((answer.status, answer.fields()), (422, vec![field]), "{body}");
    }
    for (query, field) in
        [("role=root", "role"), ("disabled=1", "disabled"), ("email=", "email"), ("x=1", "x")]
    {
        let answer = api.get(&format!("/admin/users?{query}"), Some(&admin)).await;
        assert_eq!((answer.status, answer.fields()), (422, vec![field]), "{query}");
    }
    assert_eq!(api.patch("/admin/users/999", Some(&admin), &json!({"disabled": true})).await.status, 404);
    let changes = api.get(&format!("/admin/audit?action=user.changed&target=user:{ann}"), Some(&admin)).await;
    let items = changes.data()["items"].as_array().unwrap();
    assert_eq!(items.len(), 3, "one row a change, none for what was so already: {items:?}");
    assert_eq!((&items[2]["actor"], &items[2]["detail"]["disabled"]), (&json!(root), &json!([false, true])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_an_administrator_is_on_record() {
    let api = Api::start().await;
    let (root, admin) = api.account("root", Role::Admin).await;
    let mut recorded = 0;
    for route in ROUTES.iter().filter(|route| route.access == Access::Admin) {
        let id = format!("r-{}-{}", route.method, route.path.len());
        let status = call(&api, route, &filled(route.path), Some(&admin), &id, b"{}").await.status;
        let rows = api.get(&format!("/admin/audit?actor={root}"), Some(&admin)).await;
        let rows = rows.data()["items"].as_array().unwrap();
        if route.method == "GET" {
            assert_eq!(rows.len(), recorded, "{route:?}");
            continue;
        }
        recorded += 1;
        assert_eq!(rows.len(), recorded, "{route:?} is not on record, or twice");
        let row = &rows[0];
        assert_eq!(row["action"], format!("{} {}", route.method, route.path));
        assert_eq!((&row["request_id"], &row["detail"]["status"]), (&json!(id), &json!(status)), "{row}");
        if route.path.contains('{') {
            assert!(row["target"]["id"].as_str().is_some_and(|id| !id.is_empty()), "{row}");
        }
        assert!(recorded < 100, "a page holds them");
    }
    assert!(recorded >= 7, "{recorded}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_is_read_by_pages_and_filters() {
    let api = Api::start().await;
    let (_, admin) = api.account("root", Role::Admin).await;
    let (_, event) = api.sale(&admin, 5).await;
    for _ in 0..3 {
        api.post(&format!("/admin/spike/events/{event}/pause?x=1"), Some(&admin), &json!({})).await;
    }
    let mut seen: Vec<Value> = Vec::new();
    let mut path = "/admin/audit?page_size=2".to_owned();
    loop {
        let page = api.get(&path, Some(&admin)).await;
        seen.extend(page.data()["items"].as_array().unwrap().clone());
        let Some(cursor) = page.data()["next_cursor"].as_i64() else { break };
        path = format!("/admin/audit?page_size=2&cursor={cursor}");
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert_eq!(seen[3]["target"], json!({"kind": "event", "id": event.to_string()}), "what was made");
    assert_eq!(seen[4]["target"]["kind"], "product");
    let of_event = api.get(&format!("/admin/audit?target=event:{event}"), Some(&admin)).await;
    assert_eq!(of_event.data()["items"].as_array().unwrap().len(), 4);
    let products = api.get("/admin/audit?target=product", Some(&admin)).await;
    assert_eq!(products.data()["items"].as_array().unwrap().len(), 1);
    for query in ["cursor=x", "actor=0", "action=", "target=", "page_size=101", "actor=1&actor=2"] {
        assert_eq!(api.get(&format!("/admin/audit?{query}"), Some(&admin)).await.status, 422, "{query}");
    }
}
