//! adopt: orders of another epoch, and what remembers them (V8, V9).

use spike_domain::{ClaimState, EventId, OrderId, QueuedOrder, UserId};
use spike_stock::EndedOrder;

use crate::server::{EPOCH, Server, both};

both!(
    a_counted_order_takes_stock_once_and_gets_an_entry,
    a_refused_order_is_refused_for_good,
    a_released_order_is_not_adopted_again_with_or_without_a_key,
    an_order_that_ended_otherwise_is_not_called_rejected_afterwards,
);

const EVENT: EventId = EventId(7);

fn late(user: i64, quantity: u32, key: Option<&str>) -> QueuedOrder {
    let order = OrderId::new(1);
    QueuedOrder { order, user: UserId(user), quantity, key: key.map(str::to_owned), accepted_at_ms: 3 }
}

async fn a_counted_order_takes_stock_once_and_gets_an_entry(server: Server) {
    server.open(EVENT, 3, 3, 1000).await;
    let orders = [late(1, 2, None), late(2, 1, Some("k"))];
    for _ in 0..3 {
        assert_eq!(server.stock.adopt(EVENT, EPOCH, 7, &orders).await.unwrap(), [true, true]);
    }
    assert_eq!(server.figures(EVENT).await, (0, 3));
    let entries = server.stock.entries(EVENT, None, 10).await.unwrap().entries;
    assert_eq!(entries.len(), 1, "one entry, however often it is adopted");
    let ids: Vec<_> = entries[0].orders.iter().map(|order| (order.order, order.key.clone())).collect();
    assert_eq!(ids, [(orders[0].order, None), (orders[1].order, Some("k".into()))]);
}

async fn a_refused_order_is_refused_for_good(server: Server) {
    server.open(EVENT, 1, 3, 1000).await;
    let holder = server.buy(EVENT, 1, 1, None).await;
    let (same_user, no_stock) = (late(1, 1, None), late(2, 1, Some("k")));
    let both = [same_user.clone(), no_stock.clone()];
    assert_eq!(server.stock.adopt(EVENT, EPOCH, 7, &both).await.unwrap(), [false, false]);
    let ended = EndedOrder { user: UserId(1), order: holder, state: ClaimState::Cancelled };
    server.stock.release(EVENT, EPOCH, &[ended]).await.unwrap();
    assert_eq!(
        server.stock.adopt(EVENT, EPOCH, 7, &both).await.unwrap(),
        [false, false],
        "stock is back, they are not"
    );
    assert_eq!(server.figures(EVENT).await, (1, 1));
}

async fn a_released_order_is_not_adopted_again_with_or_without_a_key(server: Server) {
    server.open(EVENT, 5, 3, 1000).await;
    for order in [late(1, 1, None), late(2, 1, Some("k"))] {
        assert_eq!(server.stock.adopt(EVENT, EPOCH, 7, std::slice::from_ref(&order)).await.unwrap(), [true]);
        let ended = EndedOrder { user: order.user, order: order.order, state: ClaimState::Cancelled };
        assert_eq!(server.stock.release(EVENT, EPOCH, &[ended]).await.unwrap(), 1);
        assert_eq!(server.stock.adopt(EVENT, EPOCH, 7, std::slice::from_ref(&order)).await.unwrap(), [false]);
    }
    assert_eq!(server.figures(EVENT).await.0, 5);
}

async fn an_order_that_ended_otherwise_is_not_called_rejected_afterwards(server: Server) {
    server.open(EVENT, 5, 3, 1000).await;
    let order = late(1, 1, None);
    assert_eq!(server.stock.adopt(EVENT, EPOCH, 7, std::slice::from_ref(&order)).await.unwrap(), [true]);
    let cancelled = EndedOrder { user: order.user, order: order.order, state: ClaimState::Cancelled };
    server.stock.release(EVENT, EPOCH, &[cancelled]).await.unwrap();
    // Its message comes once more.
    assert_eq!(server.stock.adopt(EVENT, EPOCH, 7, std::slice::from_ref(&order)).await.unwrap(), [false]);
    assert_eq!(ended_of(&server, &order).await, Some(ClaimState::Cancelled));

    let refused = late(2, 9, Some("k"));
    for _ in 0..2 {
        let verdict = server.stock.adopt(EVENT, EPOCH, 7, std::slice::from_ref(&refused)).await.unwrap();
        assert_eq!(verdict, [false]);
        assert_eq!(
            ended_of(&server, &refused).await,
            Some(ClaimState::Rejected),
            "what adopt refuses is shown"
        );
    }
}

/// How `order` ended, if that is what the ledger last kept for its user.
async fn ended_of(server: &Server, order: &QueuedOrder) -> Option<ClaimState> {
    let (_, ended) = server.stock.lookup(EVENT, order.user).await.unwrap();
    ended.filter(|ended| ended.order == order.order)?.state
}
