//! begin, load, open and the fence.

use spike_domain::{ClaimState, EventId, LedgerState, OrderId, UserId};
use spike_stock::claim::{buyer_value, key_value};
use spike_stock::reserve::Decision;
use spike_stock::{Opening, Refused, StockError};

use crate::server::{EPOCH, Server, both, buyer, connect, def, open};

both!(
    a_rebuild_goes_through_its_steps_once_and_in_order,
    settle_release_and_adopt_wait_while_the_ledger_is_rebuilt,
);

const EVENT: EventId = EventId(7);

#[tokio::test]
async fn a_restarted_redis_sells_nothing_until_it_is_rebuilt() {
    let mut server = Server::redis().await;
    server.open(EVENT, 5, 1, 1000).await;
    let other = EventId(8);
    server.open(other, 5, 1, 1000).await;
    server.buy(EVENT, 1, 1, None).await;
    let redis = server.redis.as_ref().unwrap();
    redis.kill9();
    redis.restart().unwrap();
    server.stock = connect(redis).await;
    assert_eq!(server.figures(EVENT).await, (4, 1), "appendfsync always keeps what was acknowledged");
    let closed =
        |result: Result<_, StockError>| assert!(matches!(result, Err(StockError::Fenced)), "{result:?}");
    closed(server.reserve(EVENT, &[(2, 1, None)]).await);
    open(&server.stock, EVENT, EPOCH + 1, 4, 1, 1000).await;
    let buyers = [buyer(2, 1, None)];
    assert_eq!(
        server.stock.reserve(EVENT, EPOCH + 1, 7, &buyers).await.unwrap().decisions,
        [Decision::Accepted]
    );
    closed(server.reserve(other, &[(2, 1, None)]).await);
    assert!(
        !server.stock.fence_open_now(other).await.unwrap(),
        "rebuilding one event opens only its own fence"
    );
}

async fn a_rebuild_goes_through_its_steps_once_and_in_order(server: Server) {
    let (ledger, def) = (&server.stock, def(EVENT, 9, 3));
    let opening = Opening { state: LedgerState::Paused, stock: 4, inflight: 2, cap: 50, def: &def };
    let refusal = |result: Result<(), StockError>| match result {
        Err(StockError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(ledger.open(EVENT, EPOCH, &opening).await.map(drop)), Refused::NotReady);
    ledger.begin(EVENT, EPOCH).await.unwrap();
    assert_eq!(refusal(ledger.begin(EVENT, EPOCH).await), Refused::Stale { epoch: EPOCH });
    assert_eq!(refusal(ledger.begin(EVENT, EPOCH - 1).await), Refused::Stale { epoch: EPOCH });
    assert_eq!(refusal(ledger.load(EVENT, EPOCH - 1, &[], &[]).await), Refused::Stale { epoch: EPOCH });

    let (a, b) = (OrderId::new(1), OrderId::new(2));
    let claims = [(UserId(1), buyer_value(a, ClaimState::Paid, 3))];
    let keys = [("1:k".to_owned(), key_value(a, 3)), (format!("2:#{b}"), key_value(b, 2))];
    ledger.load(EVENT, EPOCH, &claims, &keys).await.unwrap();
    ledger.open(EVENT, EPOCH, &opening).await.unwrap();
    assert_eq!(refusal(ledger.open(EVENT, EPOCH, &opening).await.map(drop)), Refused::Standing);
    assert_eq!(refusal(ledger.load(EVENT, EPOCH, &[], &[]).await), Refused::Standing);

    let meta = ledger.meta(EVENT).await.unwrap().unwrap();
    assert_eq!((meta.state, meta.stock, meta.inflight), (LedgerState::Paused, Some(4), Some(2)));
    assert_eq!(meta.doc.as_ref(), Some(&def));
    ledger.load_fenced(EVENT, EPOCH).await.unwrap();
    assert_eq!(server.claim(EVENT, 1).await.unwrap().order, a);
    assert_eq!(ledger.events().await.unwrap(), [EVENT]);
}

async fn settle_release_and_adopt_wait_while_the_ledger_is_rebuilt(server: Server) {
    server.open(EVENT, 5, 1, 1000).await;
    let order = server.buy(EVENT, 1, 1, None).await;
    let entry = server.stock.entries(EVENT, None, 1).await.unwrap().entries.remove(0);
    let settled = [spike_stock::ledger::settled(&entry, |_| ClaimState::Pending)];
    let ended = [spike_stock::EndedOrder { user: UserId(1), order, state: ClaimState::Cancelled }];
    let next = EPOCH + 1;
    server.stock.begin(EVENT, next).await.unwrap();
    let recovering = |result: Result<u64, StockError>| {
        assert!(matches!(result, Err(StockError::Refused(Refused::Recovering))), "{result:?}");
    };
    recovering(server.stock.settle(EVENT, next, &settled).await);
    recovering(server.stock.release(EVENT, next, &ended).await);
    match server.stock.adopt(EVENT, next, 7, &entry.orders).await {
        // In Redis the script of the next epoch is loaded last.
        Err(StockError::Fenced) => assert!(server.redis.is_some()),
        other => recovering(other.map(|counted| counted.len() as u64)),
    }
    recovering(server.stock.transition(EVENT, next, LedgerState::Open, None).await);
    assert_eq!(
        server.stock.entries(EVENT, None, 10).await.unwrap().entries.len(),
        1,
        "the outbox stands still"
    );
}

#[tokio::test]
async fn many_claims_are_loaded_in_pieces() {
    let server = Server::redis().await;
    let claims: Vec<_> = (1..=2_500)
        .map(|user| (UserId(user), buyer_value(OrderId::new(1), ClaimState::Pending, 1)))
        .collect();
    let keys: Vec<_> = (1..=3_700).map(|n| (format!("{n}:k"), key_value(OrderId::new(1), 1))).collect();
    server.stock.begin(EVENT, EPOCH).await.unwrap();
    server.stock.load(EVENT, EPOCH, &claims, &keys).await.unwrap();
    let names = spike_stock::EventKeys::new(EVENT);
    let redis = server.redis.as_ref().unwrap();
    let length =
        async |key: &str| -> usize { redis.command(&["HLEN", key]).unwrap().trim().parse().unwrap() };
    assert_eq!((length(&names.buyers).await, length(&names.keys).await), (2_500, 3_700));
}
