//! The outbox as the relay reads it.

use spike_domain::{EntryId, EventId, OutboxEntry, TraceContext, UserId};

use crate::server::{EPOCH, Server, both, buyer};

both!(
    entries_are_delivered_once_a_group_and_stay_until_settled,
    pages_cover_the_stream,
    traces_of_accepted_orders_stay_with_their_entry,
);

const EVENT: EventId = EventId(7);

async fn entries_are_delivered_once_a_group_and_stay_until_settled(server: Server) {
    server.open(EVENT, 100, 3, 1000).await;
    let decided = server.reserve(EVENT, &[(1, 1, Some("k")), (2, 2, None)]).await.unwrap();
    assert_eq!(decided.decisions.len(), 2);
    let ledger = &server.stock;
    let entries = ledger.read_new(EVENT, "a", 10).await.unwrap();
    assert_eq!((entries.len(), entries[0].orders.len(), entries[0].units()), (1, 2, 3));
    assert_eq!((entries[0].id.epoch, entries[0].orders[0].accepted_at_ms), (EPOCH, 7));
    assert_eq!(entries[0].orders[0].key.as_deref(), Some("k"));
    assert_eq!(ledger.read_new(EVENT, "a", 10).await.unwrap(), []);
    assert_eq!(
        ledger.read_pending(EVENT, "a", "0", 10).await.unwrap(),
        entries,
        "a restarted relay finds its own"
    );
    assert_eq!(
        ledger.claim_idle(EVENT, "b", 0, "0-0", 10).await.unwrap().entries,
        entries,
        "another takes them over"
    );
    assert_eq!(ledger.ack(EVENT, &[entries[0].id]).await.unwrap(), 1);
    assert_eq!(ledger.claim_idle(EVENT, "b", 0, "0-0", 10).await.unwrap().entries, []);
    assert_eq!(
        ledger.entries(EVENT, None, 10).await.unwrap().entries,
        entries,
        "acknowledged is not settled"
    );
}

#[tokio::test]
async fn a_lost_group_reads_everything_again() {
    let server = Server::redis().await;
    server.open(EVENT, 100, 3, 1000).await;
    server.buy(EVENT, 1, 1, None).await;
    assert!(!server.stock.ensure_group(EVENT).await.unwrap());
    let keys = spike_stock::EventKeys::new(EVENT);
    let redis = server.redis.as_ref().unwrap();
    redis.command(&["XGROUP", "DESTROY", &keys.outbox, "relay"]).unwrap();
    assert!(server.stock.read_new(EVENT, "a", 10).await.is_err());
    assert!(server.stock.ensure_group(EVENT).await.unwrap());
    assert_eq!(server.stock.read_new(EVENT, "a", 10).await.unwrap()[0].orders[0].user, UserId(1));
}

async fn pages_cover_the_stream(server: Server) {
    server.open(EVENT, 100, 3, 1000).await;
    for user in 1..=7 {
        server.buy(EVENT, user, 1, None).await;
    }
    let (mut after, mut users) = (None, Vec::new());
    loop {
        let page = server.stock.entries(EVENT, after, 3).await.unwrap();
        users.extend(page.entries.iter().map(|entry| entry.orders[0].user.0));
        after = page.entries.last().map(|entry| entry.id);
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(users, (1..=7).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_entry_of_another_program_or_version_is_passed_over_and_stays() {
    let server = Server::redis().await;
    server.open(EVENT, 100, 3, 1000).await;
    let client = redis::Client::open(server.redis.as_ref().unwrap().url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let order = server.buy(EVENT, 1, 1, None).await;
    let outbox = spike_stock::EventKeys::new(EVENT).outbox;
    let newer = format!("{order} 1 1  what a later version writes");
    let foreign: [&[(&str, &[u8])]; 4] = [
        &[("v", b"2"), ("t", b"7"), ("o", newer.as_bytes())],
        &[("hello", b"world")],
        &[("v", b"1"), ("t", b"7"), ("o", b"\xff\xfe")],
        &[("v", b"1"), ("t", b"soon"), ("o", b"")],
    ];
    for fields in foreign {
        let mut add = redis::cmd("XADD");
        add.arg(&outbox).arg(format!("{EPOCH}-*")).arg(fields);
        add.exec_async(&mut connection).await.unwrap();
    }
    server.buy(EVENT, 2, 1, None).await;
    let ledger = &server.stock;
    let users = |entries: &[OutboxEntry]| entries.iter().map(|e| e.orders[0].user.0).collect::<Vec<_>>();
    assert_eq!(users(&ledger.read_new(EVENT, "a", 10).await.unwrap()), [1, 2]);
    assert_eq!(users(&ledger.read_pending(EVENT, "a", "0", 10).await.unwrap()), [1, 2]);
    let claimed = ledger.claim_idle(EVENT, "b", 0, "0-0", 10).await.unwrap();
    assert_eq!((users(&claimed.entries), claimed.unreadable), (vec![1, 2], 4));

    let (mut after, mut found, mut unreadable) = (None, Vec::new(), 0);
    for _ in 0..10 {
        let page = ledger.entries(EVENT, after, 2).await.unwrap();
        found.extend(users(&page.entries));
        unreadable += page.unreadable;
        let Some(next) = page.next else { break };
        assert!(!page.entries.is_empty(), "callers go on behind the last entry");
        after = Some(EntryId::parse(&next).expect("an id of the stream"));
    }
    assert_eq!((found, unreadable), (vec![1, 2], 4), "also by pages, of which one holds nothing of ours");
}

async fn traces_of_accepted_orders_stay_with_their_entry(server: Server) {
    server.open(EVENT, 2, 3, 1000).await;
    let context = |span_id| TraceContext { trace_id: 0x4bf9, span_id, sampled: true };
    let mut buyers = [buyer(1, 1, None), buyer(2, 1, Some("k")), buyer(3, 1, None)];
    buyers[1].trace = Some(Box::new(context(2)));
    buyers[2].trace = Some(Box::new(context(3)));
    let decided = server.stock.reserve(EVENT, EPOCH, 7, &buyers).await.unwrap();
    assert_eq!((decided.stock, decided.decisions.len()), (0, 3), "the third finds nothing left");
    let entries = server.stock.read_new(EVENT, "a", 10).await.unwrap();
    assert_eq!((entries.len(), entries[0].orders.len()), (1, 2));
    assert_eq!(entries[0].traces, [buyers[1].order_trace().unwrap()], "and has no trace in the entry");
    assert_eq!(server.stock.read_pending(EVENT, "a", "0", 10).await.unwrap(), entries);
    assert_eq!(
        server.stock.entries(EVENT, None, 10).await.unwrap().entries,
        entries,
        "published again with it"
    );
}
