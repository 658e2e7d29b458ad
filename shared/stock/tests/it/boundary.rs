//! reserve, release, settle, mark and transition at the edges of the stock.

use std::time::Duration;

use spike_domain::{ClaimState, EventId, LedgerState, OrderId, UserId};
use spike_stock::reserve::Decision;
use spike_stock::{EndedOrder, Opening, Refused, StockError};

use crate::server::{EPOCH, Server, both, buyer, def};

both!(
    a_batch_is_decided_in_order_up_to_the_last_unit,
    one_user_twice_in_a_batch_gets_one_order,
    a_key_finds_its_order_alive_and_dead_and_after_sell_out,
    a_release_counts_once_and_only_for_the_orders_own_claim,
    settle_counts_an_entry_once_and_never_undoes_a_payment,
    a_mark_that_a_rebuild_would_undo_is_refused,
    the_cap_on_what_is_in_flight_refuses_all,
    a_ledger_that_is_not_open_in_this_epoch_takes_nothing,
    a_closed_ledger_stays_closed,
    only_a_closed_and_empty_ledger_is_put_away,
);

const EVENT: EventId = EventId(7);

fn refused(error: StockError) -> Refused {
    match error {
        StockError::Refused(refused) => refused,
        other => panic!("a refusal, not {other}"),
    }
}

fn kinds(decisions: &[Decision]) -> String {
    let letter = |decision: &Decision| match decision {
        Decision::Accepted => 'A',
        Decision::Known(_) => 'K',
        Decision::AlreadyBought(_) => 'B',
        Decision::OverLimit => 'L',
        Decision::Short => 'S',
    };
    decisions.iter().map(letter).collect()
}

async fn a_batch_is_decided_in_order_up_to_the_last_unit(server: Server) {
    server.open(EVENT, 5, 3, 1000).await;
    type Press = (i64, u32, Option<&'static str>);
    let table: [(&str, u64, &[Press]); 4] = [
        ("AAS", 1, &[(1, 2, None), (2, 2, None), (3, 2, None)]), // one unit is left, two are wanted
        ("BLA", 0, &[(1, 1, None), (4, 4, None), (3, 1, None)]),
        ("SSB", 0, &[(5, 1, None), (6, 3, None), (2, 1, None)]),
        ("SBS", 0, &[(7, 1, Some("k")), (3, 1, Some("k")), (7, 1, Some("k"))]),
    ];
    for (want, stock, buyers) in table {
        let decided = server.reserve(EVENT, buyers).await.unwrap();
        assert_eq!((kinds(&decided.decisions).as_str(), decided.stock), (want, stock), "{buyers:?}");
    }
    assert_eq!(server.figures(EVENT).await, (0, 5));
}

async fn one_user_twice_in_a_batch_gets_one_order(server: Server) {
    server.open(EVENT, 10, 2, 1000).await;
    let decided = server
        .reserve(
            EVENT,
            &[(1, 1, Some("a")), (1, 1, Some("a")), (1, 1, Some("b")), (1, 1, None), (2, 1, None)],
        )
        .await
        .unwrap();
    assert_eq!(kinds(&decided.decisions), "AKBBA");
    assert_eq!(server.figures(EVENT).await, (8, 2));
}

async fn a_key_finds_its_order_alive_and_dead_and_after_sell_out(server: Server) {
    server.open(EVENT, 1, 1, 1000).await;
    let order = server.buy(EVENT, 1, 1, Some("a")).await;
    let again = server.reserve(EVENT, &[(1, 1, Some("a"))]).await.unwrap();
    let [Decision::Known(claim)] = again.decisions[..] else { panic!("{again:?}") };
    assert_eq!((claim.order, claim.state, claim.quantity), (order, Some(ClaimState::Queued), 1));

    let ended = EndedOrder { user: UserId(1), order, state: ClaimState::Cancelled };
    assert_eq!(server.stock.release(EVENT, EPOCH, &[ended]).await.unwrap(), 1);
    let dead = server.reserve(EVENT, &[(1, 1, Some("a"))]).await.unwrap();
    let [Decision::Known(claim)] = dead.decisions[..] else { panic!("{dead:?}") };
    assert_eq!((claim.order, claim.state), (order, None), "the key remembers its order, the claim is gone");
    let rebuy = server.buy(EVENT, 1, 1, Some("b")).await;
    assert_ne!(rebuy, order, "another key buys again");
}

async fn a_release_counts_once_and_only_for_the_orders_own_claim(server: Server) {
    server.open(EVENT, 4, 3, 1000).await;
    let first = server.buy(EVENT, 1, 3, None).await;
    let version = server.stock.meta(EVENT).await.unwrap().unwrap().version;
    let ended = |order| EndedOrder { user: UserId(1), order, state: ClaimState::Cancelled };
    for (order, units) in [(OrderId::new(9), 0), (first, 3), (first, 0)] {
        assert_eq!(server.stock.release(EVENT, EPOCH, &[ended(order)]).await.unwrap(), units);
    }
    assert_eq!(
        server.stock.meta(EVENT).await.unwrap().unwrap().version,
        version + 1,
        "one release, one version"
    );
    let second = server.buy(EVENT, 1, 2, None).await;
    let both = [ended(first), ended(second), ended(second)];
    assert_eq!(
        server.stock.release(EVENT, EPOCH, &both).await.unwrap(),
        2,
        "a replay of the old order is a no-op"
    );
    assert_eq!(server.figures(EVENT).await.0, 4);
}

async fn settle_counts_an_entry_once_and_never_undoes_a_payment(server: Server) {
    server.open(EVENT, 10, 3, 1000).await;
    let paid = server.buy(EVENT, 1, 2, None).await;
    server.buy(EVENT, 2, 1, None).await;
    let entries = server.stock.entries(EVENT, None, 10).await.unwrap().entries;
    assert_eq!(entries.len(), 2);
    let mark = EndedOrder { user: UserId(1), order: paid, state: ClaimState::Paid };
    server.stock.mark(EVENT, &[mark]).await.unwrap();
    let settled: Vec<_> =
        entries.iter().map(|entry| spike_stock::ledger::settled(entry, |_| ClaimState::Pending)).collect();
    assert_eq!(server.stock.settle(EVENT, EPOCH, &settled).await.unwrap(), 3);
    assert_eq!(server.stock.settle(EVENT, EPOCH, &settled).await.unwrap(), 0, "a repeat changes nothing");
    assert_eq!(server.figures(EVENT).await, (7, 0));
    let state = async |user| server.claim(EVENT, user).await.unwrap().state;
    assert_eq!((state(1).await, state(2).await), (Some(ClaimState::Paid), Some(ClaimState::Pending)));
}

async fn a_mark_that_a_rebuild_would_undo_is_refused(server: Server) {
    let order = OrderId::new(9);
    let paid = [EndedOrder { user: UserId(1), order, state: ClaimState::Paid }];
    let mark = async || server.stock.mark(EVENT, &paid).await;
    assert_eq!(refused(mark().await.unwrap_err()), Refused::NotReady, "nothing could be shown");

    server.stock.begin(EVENT, EPOCH).await.unwrap();
    assert_eq!(refused(mark().await.unwrap_err()), Refused::Recovering);
    // The rebuild has read the row before it was paid.
    let claims = [(UserId(1), format!("{order}p1"))];
    server.stock.load(EVENT, EPOCH, &claims, &[]).await.unwrap();
    assert_eq!(refused(mark().await.unwrap_err()), Refused::Recovering);
    let def = def(EVENT, 5, 1);
    let opening = Opening { state: LedgerState::Paused, stock: 4, inflight: 0, cap: 9, def: &def };
    server.stock.open(EVENT, EPOCH, &opening).await.unwrap();
    server.stock.load_fenced(EVENT, EPOCH).await.unwrap();
    assert_eq!(server.claim(EVENT, 1).await.unwrap().state, Some(ClaimState::Pending));
    mark().await.unwrap();
    assert_eq!(server.claim(EVENT, 1).await.unwrap().state, Some(ClaimState::Paid));
}

async fn the_cap_on_what_is_in_flight_refuses_all(server: Server) {
    server.open(EVENT, 100, 5, 4).await;
    server.buy(EVENT, 1, 3, None).await;
    server.buy(EVENT, 2, 3, None).await;
    let full = server.reserve(EVENT, &[(3, 1, None)]).await.unwrap_err();
    assert_eq!(refused(full), Refused::Full);
    assert_eq!(server.figures(EVENT).await, (94, 6));
}

async fn a_ledger_that_is_not_open_in_this_epoch_takes_nothing(server: Server) {
    server.open(EVENT, 5, 1, 1000).await;
    let reserve =
        async |epoch| refused(server.stock.reserve(EVENT, epoch, 7, &[buyer(1, 1, None)]).await.unwrap_err());
    for epoch in [EPOCH - 1, EPOCH + 1] {
        // In Redis the script of that epoch is not there to be asked.
        match server.stock.reserve(EVENT, epoch, 7, &[buyer(1, 1, None)]).await.unwrap_err() {
            StockError::Fenced => assert!(server.redis.is_some()),
            error => assert_eq!(refused(error), Refused::Stale { epoch: EPOCH }),
        }
    }
    server.stock.transition(EVENT, EPOCH, LedgerState::Paused, None).await.unwrap();
    assert_eq!(reserve(EPOCH).await, Refused::Paused);
    let renewed = def(EVENT, 5, 1);
    server.stock.transition(EVENT, EPOCH, LedgerState::Open, Some(&renewed)).await.unwrap();
    assert_eq!(server.stock.meta(EVENT).await.unwrap().unwrap().doc, Some(renewed));
    server.buy(EVENT, 1, 1, None).await;
    let unknown = EventId(8);
    let loaded = server.stock.load_fenced(unknown, EPOCH).await.is_ok();
    let nothing = server.stock.reserve(unknown, EPOCH, 7, &[buyer(1, 1, None)]).await.unwrap_err();
    let closed = matches!(nothing, StockError::Fenced) && !loaded;
    assert!(closed || refused(nothing) == Refused::NotReady, "a missing ledger is never zero stock");
}

async fn a_closed_ledger_stays_closed(server: Server) {
    server.open(EVENT, 5, 1, 1000).await;
    server.stock.transition(EVENT, EPOCH, LedgerState::Closed, None).await.unwrap();
    // A watch that read the event before it was closed comes late: its units may be back in the inventory by now.
    for stale in [LedgerState::Open, LedgerState::Paused] {
        let late = server.stock.transition(EVENT, EPOCH, stale, None).await.unwrap_err();
        assert_eq!(refused(late), Refused::Closed);
    }
    let buy = server.stock.reserve(EVENT, EPOCH, 7, &[buyer(1, 1, None)]).await.unwrap_err();
    assert_eq!(refused(buy), Refused::Closed);
    let renewed = def(EVENT, 5, 2);
    server.stock.transition(EVENT, EPOCH, LedgerState::Closed, Some(&renewed)).await.unwrap();
    assert_eq!(
        server.stock.meta(EVENT).await.unwrap().unwrap().doc,
        Some(renewed),
        "its document is renewed"
    );
}

async fn only_a_closed_and_empty_ledger_is_put_away(server: Server) {
    let archive = async |epoch| server.stock.archive(EVENT, epoch, Duration::from_secs(60)).await;
    archive(EPOCH).await.expect("what is not there is put away");
    server.open(EVENT, 5, 1, 1000).await;
    let order = server.buy(EVENT, 1, 1, Some("k")).await;
    assert!(archive(EPOCH).await.is_err(), "it sells");
    server.stock.transition(EVENT, EPOCH, LedgerState::Closed, None).await.unwrap();
    assert_eq!(refused(archive(EPOCH + 1).await.unwrap_err()), Refused::Stale { epoch: EPOCH });
    assert_eq!(refused(archive(EPOCH).await.unwrap_err()), Refused::Full, "an order is on its way");
    assert_eq!(server.claim(EVENT, 1).await.unwrap().order, order, "nothing was lost");
    let entry = server.stock.entries(EVENT, None, 1).await.unwrap().entries.remove(0);
    let settled = spike_stock::ledger::settled(&entry, |_| ClaimState::Paid);
    server.stock.settle(EVENT, EPOCH, &[settled]).await.unwrap();
    for _ in 0..2 {
        archive(EPOCH).await.unwrap();
        assert_eq!(server.stock.events().await.unwrap(), [], "off the list");
    }
    let Some(redis) = &server.redis else {
        return assert!(server.stock.meta(EVENT).await.unwrap().is_none(), "the book is gone");
    };
    let mut left = 0;
    for key in spike_stock::EventKeys::new(EVENT).all() {
        let ttl: i64 = redis.command(&["PTTL", key]).unwrap().parse().unwrap();
        assert!(ttl == -2 || (1..=60_000).contains(&ttl), "{key} lives {ttl} ms");
        left += u32::from(ttl > 0);
    }
    assert!(left >= 5, "claims can be read for a while");
}

#[tokio::test]
async fn a_missing_stock_key_is_not_ready_and_nothing_is_written() {
    let server = Server::redis().await;
    server.open(EVENT, 5, 1, 1000).await;
    let keys = spike_stock::EventKeys::new(EVENT);
    server.redis.as_ref().unwrap().command(&["DEL", &keys.stock]).unwrap();
    let error = server.reserve(EVENT, &[(1, 1, None)]).await.unwrap_err();
    assert_eq!(refused(error), Refused::NotReady);
    assert!(server.claim(EVENT, 1).await.is_none());
    assert_eq!(server.stock.entries(EVENT, None, 10).await.unwrap().entries, []);
}
