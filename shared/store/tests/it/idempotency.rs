//! Keys of requests: one turn at a time, one answer for good, one id for every try.

use spike_domain::UserId;
use spike_store::{KeyTurn, KeyedRequest, Store};

use crate::sale::eventually;

const DAY_MS: u64 = 24 * 3600 * 1000;

fn request(effect: u8) -> KeyedRequest<'static> {
    KeyedRequest {
        user: UserId(1),
        route: "POST /orders",
        key: "press-1",
        payload: &[7; 32],
        effect: [effect; 16],
        lease_ms: 60_000,
        keep_ms: DAY_MS,
    }
}

/// The id and the end of a turn.
fn turn(turn: KeyTurn) -> ([u8; 16], u64) {
    match turn {
        KeyTurn::Run { effect, locked_until_ms } => (effect, locked_until_ms),
        other => panic!("{other:?}"),
    }
}

pub async fn a_key_runs_once_and_replays_its_answer(store: &Store) {
    let (effect, _) = turn(store.claim_key(&request(1)).await.unwrap());
    assert_eq!(effect, [1; 16]);
    assert_eq!(store.claim_key(&request(2)).await.unwrap(), KeyTurn::InFlight);
    let other = KeyedRequest { payload: &[8; 32], ..request(2) };
    assert_eq!(store.claim_key(&other).await.unwrap(), KeyTurn::Mismatch, "also while it is in flight");
    let answer = b"{\"status\":201,\"odd\":\"\xff\0\"}";
    store.finish_key(&request(9), effect, answer).await.unwrap();
    store.finish_key(&request(9), effect, b"another answer").await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.claim_key(&request(2)).await.unwrap(), KeyTurn::Replay(answer.to_vec()));
    }
    assert_eq!(store.claim_key(&other).await.unwrap(), KeyTurn::Mismatch);
    for elsewhere in [
        KeyedRequest { user: UserId(2), ..request(3) },
        KeyedRequest { route: "POST /orders/{order}/pay", ..request(3) },
        KeyedRequest { key: "PRESS-1", ..request(3) },
    ] {
        assert_eq!(turn(store.claim_key(&elsewhere).await.unwrap()).0, [3; 16], "{elsewhere:?}");
    }
}

pub async fn a_request_that_died_is_done_again_under_its_own_id(store: &Store) {
    let dying = KeyedRequest { lease_ms: 0, ..request(1) };
    turn(store.claim_key(&dying).await.unwrap());
    // Nobody finished it, and its lease is over.
    let (effect, until) = turn(store.claim_key(&request(2)).await.unwrap());
    assert_eq!(effect, [1; 16], "the first one's id, so that its effect cannot be doubled");
    assert_eq!(store.claim_key(&request(3)).await.unwrap(), KeyTurn::InFlight);
    store.release_key(&request(3), until - 1).await.unwrap();
    assert_eq!(store.claim_key(&request(3)).await.unwrap(), KeyTurn::InFlight, "another turn's release");
    store.release_key(&request(3), until).await.unwrap();
    assert_eq!(turn(store.claim_key(&request(3)).await.unwrap()).0, [1; 16]);
    store.finish_key(&request(3), [9; 16], b"of another effect").await.unwrap();
    assert_eq!(store.claim_key(&request(4)).await.unwrap(), KeyTurn::InFlight);
}

pub async fn of_many_requests_at_once_one_runs(store: &Store) {
    for round in 0..5 {
        let key = format!("round-{round}");
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..16 {
            let (store, key) = (store.clone(), key.clone());
            tasks.spawn(async move {
                store.claim_key(&KeyedRequest { key: &key, ..request(number) }).await.unwrap()
            });
        }
        let turns = tasks.join_all().await;
        let waiting = turns.iter().filter(|turn| **turn == KeyTurn::InFlight).count();
        assert_eq!(waiting, 15, "{turns:?}");
    }
}

pub async fn keys_are_forgotten_after_their_time(store: &Store) {
    let short = KeyedRequest { keep_ms: 1, ..request(1) };
    let (_, until) = turn(store.claim_key(&short).await.unwrap());
    let claimed = store.now_ms().await.unwrap();
    eventually("a millisecond passes", async || (store.now_ms().await.unwrap() > claimed + 2).then_some(()))
        .await;
    // Old, and still somebody's turn.
    let anew = KeyedRequest { keep_ms: 1, payload: &[9; 32], ..request(2) };
    assert_eq!(store.claim_key(&anew).await.unwrap(), KeyTurn::Mismatch);
    assert_eq!(store.claim_key(&KeyedRequest { keep_ms: 1, ..request(2) }).await.unwrap(), KeyTurn::InFlight);
    assert_eq!(store.purge_keys(1, 4).await.unwrap(), 0, "a key being worked on");
    store.release_key(&short, until).await.unwrap();
    let (effect, _) = turn(store.claim_key(&KeyedRequest { lease_ms: 0, ..anew }).await.unwrap());
    assert_eq!(effect, [2; 16], "as if it had never been");
    for number in 0..10 {
        let key = format!("k{number}");
        turn(store.claim_key(&KeyedRequest { key: &key, lease_ms: 0, ..request(1) }).await.unwrap());
    }
    assert_eq!(store.purge_keys(DAY_MS, 100).await.unwrap(), 0, "all of today");
    let begun = store.now_ms().await.unwrap();
    eventually("the clock goes on", async || (store.now_ms().await.unwrap() > begun + 2).then_some(())).await;
    let mut purged = Vec::new();
    while purged.last() != Some(&0) {
        purged.push(store.purge_keys(1, 4).await.unwrap());
        assert!(purged.len() < 20, "{purged:?}");
    }
    assert_eq!(purged.iter().sum::<u64>(), 11, "{purged:?}");
    assert_eq!(turn(store.claim_key(&request(5)).await.unwrap()).0, [5; 16]);
}
