//! Two versions side by side: gateways whose reserve scripts are different texts sell from one ledger, each behind a fence of
//! its own, and entries of either are read by both.

use std::collections::BTreeMap;

use redis::aio::MultiplexedConnection;
use spike_domain::{EventId, OrderId};
use spike_stock::reserve::{Buyer, Decided, Decision, decode};
use spike_stock::{EventKeys, Refused, StockError, scripts};

use crate::server::{EPOCH, Server, buyer, connect, open};

const EVENT: EventId = EventId(7);

/// The former version, as far as the ledger sees it.
struct Former {
    text: String,
    sha: String,
    connection: MultiplexedConnection,
}

impl Former {
    async fn of(server: &Server) -> Self {
        let text = format!("{}-- loaded for event {EVENT}\n", include_str!("frozen/reserve.lua"));
        let sha = sha1_smol::Sha1::from(&text).digest().to_string();
        assert_ne!(sha, scripts::reserve(EVENT, EPOCH).sha, "the texts differ");
        let client = redis::Client::open(server.redis.as_ref().expect("a Redis").url()).unwrap();
        Self { text, sha, connection: client.get_multiplexed_async_connection().await.unwrap() }
    }

    /// The last step of a rebuild by a worker of the former version.
    async fn load(&mut self) {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(&self.text);
        assert_eq!(load.query_async::<String>(&mut self.connection).await.unwrap(), self.sha);
    }

    /// A reserve call as the former version sends it: no more and no other words than it knew.
    async fn reserve(&mut self, epoch: u64, buyers: &[Buyer]) -> Result<Decided, StockError> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.sha).arg(6).arg(&EventKeys::new(EVENT).reserve()).arg(epoch).arg(7);
        for buyer in buyers {
            let key = buyer.key.as_deref().unwrap_or_default();
            call.arg(buyer.user.0).arg(buyer.order.to_string()).arg(buyer.quantity).arg(key);
        }
        let reply: Vec<Vec<u8>> = call.query_async(&mut self.connection).await?;
        let decided = decode(reply.iter().map(Vec::as_slice), buyers.len());
        decided.expect("a reply of the script").map_err(StockError::Refused)
    }
}

fn fenced(result: &Result<Decided, StockError>) -> bool {
    matches!(result, Err(StockError::Fenced))
}

#[tokio::test]
async fn each_versions_fence_is_opened_by_a_rebuild_of_that_version() {
    let mut server = Server::redis().await;
    server.open(EVENT, 9, 1, 1000).await;
    let mut former = Former::of(&server).await;
    assert!(fenced(&former.reserve(EPOCH, &[buyer(1, 1, None)]).await), "ours is open, theirs is not");
    server.buy(EVENT, 1, 1, None).await;

    // A worker of the former version makes the ledger anew; nothing has been lost, so ours may go on in its epoch.
    open(&server.stock, EVENT, EPOCH + 1, 8, 1, 1000).await;
    former.load().await;
    let stale = former.reserve(EPOCH, &[buyer(2, 1, None)]).await;
    assert!(
        matches!(stale, Err(StockError::Refused(Refused::Stale { epoch })) if epoch == EPOCH + 1),
        "{stale:?}"
    );
    let next = EPOCH + 1;
    assert_eq!(former.reserve(next, &[buyer(2, 1, None)]).await.unwrap().stock, 7);
    assert_eq!(server.stock.reserve(EVENT, next, 7, &[buyer(3, 1, None)]).await.unwrap().stock, 6);

    let redis = server.redis.as_ref().unwrap();
    redis.kill9();
    redis.restart().unwrap();
    server.stock = connect(server.redis.as_ref().unwrap()).await;
    let mut former = Former::of(&server).await;
    assert!(fenced(&former.reserve(next, &[buyer(4, 1, None)]).await));
    former.load().await;
    assert_eq!(former.reserve(next, &[buyer(4, 1, None)]).await.unwrap().stock, 5);
    assert!(fenced(&server.stock.reserve(EVENT, next, 7, &[buyer(5, 1, None)]).await));
    assert!(!server.stock.fence_open(EVENT, next).await.unwrap(), "our worker sees it, and rebuilds");
}

#[tokio::test]
async fn two_versions_never_sell_a_unit_twice_nor_a_user_two() {
    const STOCK: u32 = 60;
    const USERS: i64 = 50;
    let server = Server::redis().await;
    server.open(EVENT, STOCK, 2, 100_000).await;
    let mut former = Former::of(&server).await;
    former.load().await;
    let mut accepted = BTreeMap::<OrderId, (i64, u32)>::new();
    let mut short = 0;
    for round in 0..4 {
        for first in (1..=USERS).step_by(5) {
            // Every user presses in each round, at the two versions in turn, with one key of their own.
            let press = |user: i64| buyer(user, 2, (user % 2 == 0).then(|| format!("{user:x}")).as_deref());
            let buyers: Vec<Buyer> = (first..first + 5).map(press).collect();
            let decided = match (round + first / 5) % 2 {
                0 => former.reserve(EPOCH, &buyers).await.unwrap(),
                _ => server.stock.reserve(EVENT, EPOCH, 7, &buyers).await.unwrap(),
            };
            for (buyer, decision) in buyers.iter().zip(&decided.decisions) {
                let before =
                    accepted.iter().find(|(_, (user, _))| *user == buyer.user.0).map(|(order, _)| *order);
                match decision {
                    Decision::Accepted => {
                        assert_eq!(before, None, "user {} had bought", buyer.user);
                        accepted.insert(buyer.order, (buyer.user.0, buyer.quantity));
                    }
                    Decision::Known(claim) | Decision::AlreadyBought(claim) => {
                        assert_eq!(before, Some(claim.order), "of whichever version");
                        assert_eq!(
                            matches!(decision, Decision::Known(_)),
                            buyer.user.0 % 2 == 0,
                            "by its key"
                        );
                    }
                    Decision::Short => short += 1,
                    Decision::OverLimit => panic!("two are allowed"),
                }
            }
        }
    }
    let units: u32 = accepted.values().map(|(_, units)| units).sum();
    assert_eq!((units, server.figures(EVENT).await), (STOCK, (0, u64::from(STOCK))));
    assert!(short > 0, "it was sold out in the middle");
    let entries = server.stock.entries(EVENT, None, 1000).await.unwrap();
    let queued: BTreeMap<_, _> = entries
        .entries
        .iter()
        .flat_map(|entry| &entry.orders)
        .map(|queued| (queued.order, (queued.user.0, queued.quantity)))
        .collect();
    assert_eq!((queued, entries.unreadable), (accepted, 0), "each once, whichever version wrote it");
}

#[tokio::test]
async fn an_entry_with_fields_of_a_later_version_is_read_and_one_of_another_format_waits() {
    let server = Server::redis().await;
    server.open(EVENT, 5, 1, 1000).await;
    let redis = server.redis.as_ref().unwrap();
    let outbox = EventKeys::new(EVENT).outbox;
    let order = "019a0000-0000-7000-8000-000000000001";
    // The very words of version 0.1.0, then the same with more around them, then another format.
    let lines = format!("{order} 42 2 9f\n019a0000-0000-7000-8000-000000000002 43 1 ");
    for words in [
        &["v", "1", "t", "1763800000123", "o", &lines][..],
        &["z", "of a later version", "v", "1", "o", &lines, "c", "trace", "t", "1763800000123"],
        &["v", "2", "t", "1763800000123", "o", &lines],
    ] {
        let id = format!("{EPOCH}-*");
        redis.command(&[&["XADD", &outbox, &id][..], words].concat()).unwrap();
    }
    let page = server.stock.entries(EVENT, None, 10).await.unwrap();
    assert_eq!((page.entries.len(), page.unreadable), (2, 1));
    assert_eq!(page.entries[0].orders, page.entries[1].orders);
    let [first, second] = &page.entries[0].orders[..] else { panic!("two orders") };
    assert_eq!((first.order.to_string().as_str(), first.user.0, first.quantity), (order, 42, 2));
    assert_eq!((first.key.as_deref(), second.key.as_deref()), (Some("9f"), None));
    assert_eq!(first.accepted_at_ms, 1_763_800_000_123);
    assert_eq!(server.stock.outbox_length(EVENT).await.unwrap(), 3, "what is not read stays for who can");
}
