//! Warm-up, pause, resume, close: with a worker's stand-in that takes the steps the real watch takes, and without one.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use spike_domain::clock::now_ms;
use spike_domain::{EventId, OrderId, Role, UserId};
use spike_stock::reserve::Buyer;
use spike_stock::{Opening, Stock};
use spike_store::{Fenced, Store};
use tokio::task::JoinHandle;

use super::Api;

/// Opens the ledger of each event an operator wants open, and follows later wishes, until aborted.
pub fn watch(store: Store, ledger: Stock) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            for event in store.events_to_watch().await.unwrap() {
                let Some(state) = event.state.ledger() else { continue };
                match ledger.meta(event.id).await.unwrap() {
                    None => first_opening(&store, &ledger, event.id).await,
                    Some(meta) if meta.state != state => {
                        ledger.transition(event.id, event.epoch, state, None).await.unwrap();
                    }
                    Some(_) => {}
                }
            }
        }
    })
}

/// The rebuild of an event that has no orders.
async fn first_opening(store: &Store, ledger: &Stock, event: EventId) {
    let epoch = store.bump_epoch(event, 1, now_ms()).await.unwrap();
    ledger.begin(event, epoch).await.unwrap();
    let Fenced::Done(snapshot) = store.rebuild_snapshot(event, epoch, &[], &HashSet::new()).await.unwrap()
    else {
        panic!("nobody else rebuilds")
    };
    ledger.load(event, epoch, &[], &[]).await.unwrap();
    let state = snapshot.state.ledger().unwrap();
    let opening =
        Opening { state, stock: snapshot.def.total.into(), inflight: 0, cap: 100, def: &snapshot.def };
    ledger.open(event, epoch, &opening).await.unwrap();
    ledger.load_fenced(event, epoch).await.unwrap();
}

async fn operate(api: &Api, admin: &str, event: EventId, wish: &str) -> Value {
    let answer = api.post(&format!("/admin/spike/events/{event}/{wish}"), Some(admin), &json!({})).await;
    answer.data().clone()
}

fn figures(s: i64, r: i64, l: i64, f: i64, k: i64) -> Value {
    json!({"S": s, "R": r, "L": l, "F": f, "K": k})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_is_run_and_its_figures_always_add_up() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (buyer, _) = api.account("ann", Role::User).await;
    let (_, event) = api.sale(&admin, 10).await;
    let worker = watch(api.store.clone(), api.ledger.clone());

    for _ in 0..2 {
        let warm = operate(&api, &admin, event, "warmup").await;
        assert_eq!((&warm["event"]["state"], &warm["exact"]), (&json!("open"), &json!(true)), "{warm}");
        assert_eq!(warm["conservation"], figures(10, 10, 0, 0, 0));
    }
    let stats = api.get(&format!("/spike/events/{event}/stats"), None).await;
    assert_eq!((&stats.data()["ledger"], &stats.data()["stock"]), (&json!("open"), &json!(10)));

    accept(&api, event, buyer).await;
    let paused = operate(&api, &admin, event, "pause").await;
    assert_eq!(
        (&paused["event"]["state"], &paused["conservation"]),
        (&json!("paused"), &figures(10, 8, 0, 2, 0))
    );
    let still = operate(&api, &admin, event, "warmup").await;
    assert_eq!(still["event"]["state"], "paused", "warm-up resumes nobody's pause");

    // Written, and not settled yet: in L, and so no more in F.
    let entries = api.ledger.entries(event, None, 10).await.unwrap().entries;
    api.store.insert_entries(event, &entries).await.unwrap();
    let resumed = operate(&api, &admin, event, "resume").await;
    assert_eq!(
        (&resumed["event"]["state"], &resumed["conservation"]),
        (&json!("open"), &figures(10, 8, 2, 0, 0))
    );

    // Cancelled, and not restocked in Redis yet.
    api.store.cancel_order(entries[0].orders[0].order, buyer).await.unwrap();
    for _ in 0..2 {
        let closed = operate(&api, &admin, event, "close").await;
        assert_eq!(
            (&closed["event"]["state"], &closed["conservation"]),
            (&json!("closed"), &figures(10, 8, 0, 0, 2))
        );
    }
    for wish in ["warmup", "pause", "resume"] {
        let answer = api.post(&format!("/admin/spike/events/{event}/{wish}"), Some(&admin), &json!({})).await;
        assert_eq!((answer.status, answer.reason()), (409, "conflict"), "{wish} after the end");
    }
    worker.abort();
}

/// Two units for `user`, as a hot core takes them.
async fn accept(api: &Api, event: EventId, user: UserId) {
    let epoch = api.ledger.meta(event).await.unwrap().unwrap().epoch;
    let buyer = Buyer { user, order: OrderId::new(now_ms()), quantity: 2, key: None, trace: None };
    api.ledger.reserve(event, epoch, now_ms(), &[buyer]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_worker_the_operator_is_told_and_nothing_sells() {
    let api = Api::start().await;
    let (_, admin) = api.account("admin", Role::Admin).await;
    let (_, event) = api.sale(&admin, 10).await;
    for (wish, status) in [("pause", 409), ("resume", 409), ("warmup", 503)] {
        let answer = api.post(&format!("/admin/spike/events/{event}/{wish}"), Some(&admin), &json!({})).await;
        assert_eq!(answer.status, status, "{wish} {}", answer.body);
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{wish}");
    }
    assert!(!api.ledger.fence_open_now(event).await.unwrap(), "a gateway never loads what sells");
    let unknown = api.post("/admin/spike/events/9999/warmup", Some(&admin), &json!({})).await;
    assert_eq!(unknown.status, 404);

    // The wish was noted: a worker that comes later carries it out.
    let worker = watch(api.store.clone(), api.ledger.clone());
    assert_eq!(operate(&api, &admin, event, "warmup").await["event"]["state"], "open");
    worker.abort();
    let _ = worker.await;

    api.redis.kill9();
    let stats = api.get(&format!("/spike/events/{event}/stats"), None).await;
    assert_eq!((stats.status, stats.reason()), (503, "unavailable"), "never sold out because Redis is down");
    assert!(stats.headers.contains_key("retry-after"));
}
