//! Redis dies in the middle of a sale: buyers are told to come back, never that all is gone, and nothing is lost.

use spike_domain::{OrderId, UserId};

use crate::poll::until;
use crate::system::{Sale, System, order_of};

#[test]
fn a_dead_redis_is_503_and_the_sale_goes_on_when_it_is_back() {
    let system = System::start(&[("SPIKE_HOT_REDIS_TIMEOUT_MS", "500")]);
    let event = system.open(Sale::of(12));
    let mut buyers = system.users(40).into_iter();
    let mut acknowledged: Vec<(UserId, OrderId)> = Vec::new();
    let mut buy = |acknowledged: &mut Vec<(UserId, OrderId)>| {
        let (user, token) = buyers.next().expect("enough buyers");
        let answer = system.buy(event, &token, &[], None);
        if answer.status == 202 {
            acknowledged.push((user, order_of(&answer)));
        }
        answer
    };
    for _ in 0..4 {
        assert_eq!(buy(&mut acknowledged).status, 202);
    }

    system.redis.kill9();
    for _ in 0..8 {
        let answer = buy(&mut acknowledged);
        let reason = answer.refused(503);
        assert!(matches!(&*reason, "unavailable" | "outcome-unknown" | "recovering"), "{reason}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    // What needs no Redis is still there.
    let (_, token) = system.user();
    assert_eq!(system.get(&format!("/api/v1/spike/events/{event}"), &token).status, 200);

    system.redis.restart().expect("it starts again");
    // Reserving waits for the fence: a worker has compared Redis with the database.
    let (user, token) = system.user();
    let order = until("selling goes on", || {
        let answer = system.buy(event, &token, &[("Idempotency-Key", "the same press")], None);
        assert_ne!(answer.status, 409, "never sold out: {answer:?}");
        (answer.status == 202).then(|| order_of(&answer))
    });
    acknowledged.push((user, order));
    let last = until("the rest is sold", || {
        let answer = buy(&mut acknowledged);
        (answer.status != 202).then_some(answer)
    });
    assert_eq!(last.refused(409), "sold-out");
    let books = system.audit_acknowledged(event, &acknowledged);
    assert_eq!((books.S, books.R, books.L), (12, 0, 12));
}
