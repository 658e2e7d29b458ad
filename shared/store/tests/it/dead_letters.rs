//! Dead letters: kept once however often they come, found, replayed, dropped.

use spike_store::{LetterFilter, LetterState, Store, StoreError};

use crate::sale::Sale;

const SOURCE: &str = "spike.orders";

async fn states(store: &Store) -> Vec<(String, LetterState, u32)> {
    let letters = store.dead_letters(&LetterFilter::default(), None, 100).await.unwrap();
    letters.into_iter().rev().map(|letter| (letter.message_id, letter.state, letter.parks)).collect()
}

pub async fn a_letter_is_its_bytes_however_often_it_comes(store: &Store) {
    store.park_message(SOURCE, "a", "first reason", b"one", None).await.unwrap();
    store.park_message(SOURCE, "b", "another reason", b"one", None).await.unwrap();
    store.park_message("spike.cancel", "c", "elsewhere", b"one", None).await.unwrap();
    // Ten workers that were all given the same message.
    let many = (0..10).map(|_| store.park_message(SOURCE, "d", "at once", b"two", None));
    futures_util::future::join_all(many).await.into_iter().for_each(|kept| kept.unwrap());
    let open = LetterState::Open;
    assert_eq!(states(store).await, [("a".into(), open, 2), ("c".into(), open, 1), ("d".into(), open, 10)]);
    let first = store.dead_letters(&LetterFilter::default(), None, 100).await.unwrap().pop().unwrap();
    assert_eq!((first.reason.as_str(), first.size_bytes), ("another reason", 3));
    assert!(first.parked_at_ms >= first.created_at_ms && first.created_at_ms > 1_600_000_000_000);
    let (again, payload) = store.dead_letter(first.id).await.unwrap();
    assert_eq!((&again, payload.as_slice()), (&first, &b"one"[..]));
    assert!(again.is_whole(&payload));
    let none = store.dead_letter(first.id + 100).await;
    assert!(matches!(none, Err(StoreError::NotFound)), "{none:?}");
}

pub async fn a_letter_larger_than_any_message_is_kept_in_part(store: &Store) {
    let huge = vec![7u8; (8 << 20) + 1];
    store.park_message(SOURCE, "huge", "who sends this", &huge, None).await.unwrap();
    store.park_message(SOURCE, "huge", "who sends this", &huge, None).await.unwrap();
    let letter = store.dead_letters(&LetterFilter::default(), None, 10).await.unwrap().pop().unwrap();
    let (letter, payload) = store.dead_letter(letter.id).await.unwrap();
    assert_eq!((letter.size_bytes, letter.parks, payload.len()), (huge.len() as u64, 2, 64 << 10));
    assert!(!letter.is_whole(&payload));
}

pub async fn letters_are_found_by_event_reason_and_state_a_page_at_a_time(store: &Store) {
    let sale = Sale::of(store, 5).await;
    for (name, reason, event) in [
        ("a", "100% wrong", Some(sale.event)),
        ("b", "1000 wrong", None),
        ("c", "Under_Score", Some(sale.event)),
        ("d", "underXscore", None),
    ] {
        store.park_message(SOURCE, name, reason, name.as_bytes(), event).await.unwrap();
    }
    let found = async |filter: LetterFilter| {
        let letters = store.dead_letters(&filter, None, 100).await.unwrap();
        letters.into_iter().map(|letter| letter.message_id).collect::<Vec<_>>().concat()
    };
    let reason = |reason: &str| LetterFilter { reason: Some(reason.into()), ..LetterFilter::default() };
    assert_eq!(found(LetterFilter::default()).await, "dcba");
    assert_eq!(found(LetterFilter { event: Some(sale.event), ..LetterFilter::default() }).await, "ca");
    assert_eq!(found(reason("100%")).await, "a", "a percent sign is one");
    assert_eq!(found(reason("under_score")).await, "c", "an underscore is one, letters in any case");
    assert_eq!(found(reason("' OR 1=1 -- ")).await, "");

    let page = store.dead_letters(&LetterFilter::default(), None, 3).await.unwrap();
    assert!(store.drop_letter(page[0].id, "root", "test").await.unwrap());
    let rest = store.dead_letters(&LetterFilter::default(), Some(page[2].id), 3).await.unwrap();
    assert_eq!(rest.iter().map(|letter| letter.message_id.as_str()).collect::<Vec<_>>(), ["a"]);
    let of = |state| LetterFilter { state: Some(state), ..LetterFilter::default() };
    assert_eq!(found(of(LetterState::Dropped)).await, "d");
    assert_eq!(found(of(LetterState::Open)).await, "cba");
}

pub async fn a_replay_that_ends_here_again_is_not_forgotten(store: &Store) {
    let park = async || store.park_message(SOURCE, "a", "no", b"one", None).await.unwrap();
    park().await;
    let read = async || store.dead_letters(&LetterFilter::default(), None, 10).await.unwrap().pop().unwrap();
    let seen = read().await;
    assert!(store.letter_replayed(seen.id, seen.parks, "ann").await.unwrap());
    let replayed = read().await;
    assert_eq!((replayed.state, replayed.changed_by.as_deref()), (LetterState::Replayed, Some("ann")));
    assert!(replayed.changed_at_ms.is_some());
    park().await;
    assert_eq!((read().await.state, read().await.parks), (LetterState::Open, 2));
    // It was faster than the note of whoever replayed it: the note must not hide it.
    assert!(!store.letter_replayed(seen.id, seen.parks, "ann").await.unwrap());
    assert_eq!(read().await.state, LetterState::Open);

    assert!(store.drop_letter(seen.id, "bob", "a test of ours").await.unwrap());
    assert!(!store.drop_letter(seen.id, "eve", "me too").await.unwrap(), "dropped once");
    assert!(!store.letter_replayed(seen.id, 2, "ann").await.unwrap());
    park().await;
    let dropped = read().await;
    assert_eq!((dropped.state, dropped.parks), (LetterState::Dropped, 3), "these bytes were given up");
    assert_eq!(
        (dropped.changed_by.as_deref(), dropped.changed_why.as_deref()),
        (Some("bob"), Some("a test of ours"))
    );
    assert!(!store.drop_letter(seen.id + 9, "bob", "none").await.unwrap());
}
