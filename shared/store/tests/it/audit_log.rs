//! The record of what was done.

use spike_domain::UserId;
use spike_store::{AuditFilter, AuditTarget, NewAudit, Outcome, Store, StoreError};

fn done(actor: i64, action: &str, target: Option<(&str, &str)>) -> NewAudit {
    NewAudit {
        actor: Some(UserId(actor)),
        action: action.into(),
        target: target.map(|(kind, id)| AuditTarget::new(kind, id)),
        ..NewAudit::default()
    }
}

/// Reads by every combination of filters, for the plans.
pub async fn every_filter(store: &Store) {
    for bits in 0..16_u8 {
        let asked = |bit: u8, word: &str| (bits & bit != 0).then(|| word.to_owned());
        let filter = AuditFilter {
            actor: (bits & 1 != 0).then_some(UserId(1)),
            action: asked(2, "pause"),
            target_kind: asked(4, "event"),
            target_id: asked(8, "1"),
        };
        store.audit(&filter, None, 10).await.unwrap();
    }
}

pub async fn what_was_done_is_read_back_newest_first(store: &Store) {
    let whole = NewAudit {
        detail: r#"{"role":"admin"}"#.into(),
        request_id: Some("r-1".into()),
        address: Some("2001:db8::7".parse().unwrap()),
        ..done(7, "change", Some(("user", "9")))
    };
    store.record_audit(whole.clone()).await.unwrap();
    for number in 0..4 {
        store.record_audit(NewAudit { action: format!("a-{number}"), ..NewAudit::default() }).await.unwrap();
    }
    let all = AuditFilter::default();
    let first = store.audit(&all, None, 3).await.unwrap();
    let actions: Vec<_> = first.iter().map(|row| row.what.action.as_str()).collect();
    assert_eq!(actions, ["a-3", "a-2", "a-1"]);
    assert_eq!((first[0].what.actor, first[0].what.detail.as_str()), (None, "{}"));
    let rest = store.audit(&all, Some(first[2].id), 3).await.unwrap();
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[1].what, whole);
    assert!(rest[1].at_ms.abs_diff(spike_domain::clock::now_ms()) < 60_000);
    assert_eq!(store.audit(&all, Some(rest[1].id), 3).await.unwrap(), []);
}

pub async fn what_was_done_is_found_by_who_what_and_on_what(store: &Store) {
    for (actor, action, target) in [
        (1, "pause", Some(("event", "1"))),
        (2, "pause", Some(("event", "2"))),
        (1, "close", Some(("event", "1"))),
        (1, "pause", Some(("product", "1"))),
        (1, "pause", None),
    ] {
        store.record_audit(done(actor, action, target)).await.unwrap();
    }
    let count = async |actor: Option<i64>, action: Option<&str>, kind: Option<&str>, id: Option<&str>| {
        let [action, target_kind, target_id] = [action, kind, id].map(|word| word.map(str::to_owned));
        let filter = AuditFilter { actor: actor.map(UserId), action, target_kind, target_id };
        store.audit(&filter, None, 100).await.unwrap().len()
    };
    assert_eq!(count(None, None, None, None).await, 5);
    assert_eq!(count(Some(1), None, None, None).await, 4);
    assert_eq!(count(None, Some("pause"), None, None).await, 4);
    assert_eq!(count(None, Some("PAUSE"), None, None).await, 0);
    assert_eq!(count(None, None, Some("event"), None).await, 3);
    assert_eq!(count(None, None, Some("event"), Some("1")).await, 2);
    assert_eq!(count(Some(1), Some("pause"), Some("event"), Some("1")).await, 1);
    assert_eq!(count(Some(2), Some("close"), None, None).await, 0);
}

pub async fn hostile_text_is_kept_as_it_came_or_refused(store: &Store) {
    let words = "'; DROP TABLE audit_log; -- \" \\ \r\n\u{1b}[31m \u{202e}";
    let detail = format!("{{\"name\":{words:?}}}");
    store
        .record_audit(NewAudit { detail: detail.clone(), ..done(1, "'; DROP TABLE users;--", None) })
        .await
        .unwrap();
    let rows = store.audit(&AuditFilter::default(), None, 1).await.unwrap();
    assert_eq!(rows[0].what.detail, detail);
    let long = "x".repeat(129);
    for refused in
        [done(1, &long, None), done(1, "a", Some((&long[..33], "1"))), done(1, "a", Some(("b", &long)))]
    {
        let error = store.record_audit(refused).await.unwrap_err();
        assert!(matches!(error, StoreError::Other(_)), "refused rather than cut: {error:?}");
    }
    assert_eq!(store.audit(&AuditFilter::default(), None, 10).await.unwrap().len(), 1);
}

pub async fn an_outcome_is_told_once(store: &Store) {
    let begun = store.begin_audit(&done(1, "pause", Some(("event", "1")))).await.unwrap();
    store.record_audit(done(1, "user.changed", None)).await.unwrap();
    let outcomes = async || {
        let rows = store.audit(&AuditFilter::default(), None, 10).await.unwrap();
        rows.into_iter().map(|row| (row.outcome, row.what.detail, row.what.target)).collect::<Vec<_>>()
    };
    let event = |id: &str| Some(AuditTarget::new("event", id));
    assert_eq!(
        outcomes().await,
        [(Outcome::Done, "{}".into(), None), (Outcome::Unknown, "{}".into(), event("1"))]
    );
    let detail = r#"{"status":409}"#;
    store.finish_audit(begun, event("2").as_ref(), detail, Outcome::Refused).await.unwrap();
    assert_eq!(outcomes().await[1], (Outcome::Refused, detail.into(), event("2")));
    for row in [begun, begun + 1, begun + 99] {
        let again = store.finish_audit(row, None, "{}", Outcome::Done).await.unwrap_err();
        assert!(matches!(again, StoreError::NotFound), "{again:?}");
    }
    assert_eq!(outcomes().await[1].0, Outcome::Refused, "as it was told first");
}
