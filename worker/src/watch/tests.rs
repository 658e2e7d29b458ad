//! What the watch decides, case by case.

use spike_domain::{EventState, Money, Window};

use super::*;

fn meta(state: LedgerState) -> Meta {
    let def = spike_domain::EventDef {
        id: EventId(5),
        product_id: spike_domain::ProductId(1),
        name: "sale".into(),
        price: Money { minor: 100, currency: spike_domain::Currency::parse("EUR").unwrap() },
        total: 10,
        per_user_limit: 1,
        pay_timeout_s: 60,
        window: Window { starts_at_ms: 0, ends_at_ms: 1 },
    };
    Meta { epoch: 9, state, version: 3, stock: Some(10), inflight: Some(0), doc: Some(def) }
}

fn wanted(state: EventState) -> WatchedEvent {
    WatchedEvent { id: EventId(5), epoch: 9, state }
}

#[test]
fn a_standing_ledger_of_the_right_epoch_is_only_moved() {
    use {EventState as Want, LedgerState as Held};
    for (want, held, expected) in [
        (Want::Open, Held::Open, Need::Nothing),
        (Want::Paused, Held::Open, Need::Transition(Held::Paused)),
        (Want::Open, Held::Paused, Need::Transition(Held::Open)),
        (Want::Closed, Held::Open, Need::Transition(Held::Closed)),
        (Want::Closed, Held::Closed, Need::Nothing),
    ] {
        assert_eq!(need(&wanted(want), Some(&meta(held)), Fence::Open), expected, "{want:?} {held:?}");
    }
}

#[test]
fn anything_that_cannot_be_trusted_is_rebuilt() {
    let rebuilt =
        |held: Option<&Meta>, fence| matches!(need(&wanted(EventState::Open), held, fence), Need::Rebuild(_));
    let open = meta(LedgerState::Open);
    assert!(rebuilt(None, Fence::Open), "no ledger");
    assert!(rebuilt(Some(&open), Fence::Closed), "the fenced scripts are missing");
    assert!(rebuilt(Some(&meta(LedgerState::Recovering)), Fence::Open), "a rebuild did not finish");
    assert!(rebuilt(Some(&Meta { epoch: 8, ..open.clone() }), Fence::Open), "an older epoch");
    assert!(
        rebuilt(Some(&Meta { epoch: 10, ..open.clone() }), Fence::Open),
        "a later epoch: the database is an old copy"
    );
    assert!(rebuilt(Some(&Meta { stock: None, ..open.clone() }), Fence::Open), "no stock");
    assert!(
        rebuilt(Some(&Meta { inflight: None, ..open.clone() }), Fence::Open),
        "no count of what is in flight"
    );
    assert!(rebuilt(Some(&Meta { doc: None, ..open.clone() }), Fence::Open), "no document for the gateways");
    assert_eq!(need(&wanted(EventState::Scheduled), None, Fence::Closed), Need::Nothing, "not warmed up yet");
}

#[test]
fn a_ledger_that_another_version_has_compared_needs_our_scripts_only() {
    let open = meta(LedgerState::Open);
    let needed = |held: &Meta| need(&wanted(EventState::Open), Some(held), Fence::OfAnother);
    assert_eq!(needed(&open), Need::Scripts);
    assert!(matches!(needed(&Meta { epoch: 8, ..open.clone() }), Need::Rebuild(_)), "of another epoch");
    assert!(
        matches!(needed(&meta(LedgerState::Recovering)), Need::Rebuild(_)),
        "by a rebuild that did not finish"
    );
}
