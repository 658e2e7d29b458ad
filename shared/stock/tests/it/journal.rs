//! The embedded ledger over restarts: what was acknowledged is there, what was torn was never acknowledged.

use std::fs::OpenOptions;
use std::path::Path;

use spike_domain::{ClaimState, EventId, OutboxEntry, UserId};
use spike_stock::{Stock, StockError};

use crate::server::{EPOCH, Server, open};

const EVENT: EventId = EventId(7);

/// Opens the folder again once the thread that held it has let go.
async fn reopen(server: &mut Server) {
    let folder = server.folder.as_ref().unwrap().path().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    server.stock = Stock::embedded(elsewhere.path()).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    server.stock = loop {
        match Stock::embedded(&folder) {
            Ok(stock) => break stock,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    };
}

async fn entries(stock: &Stock) -> Vec<OutboxEntry> {
    stock.entries(EVENT, None, 1000).await.unwrap().entries
}

fn journal_of(folder: &Path) -> std::path::PathBuf {
    folder.join("journal")
}

#[tokio::test]
async fn what_was_accepted_and_not_settled_survives_behind_the_fence() {
    let mut server = Server::embedded();
    server.open(EVENT, 100, 3, 1000).await;
    for user in 1..=20 {
        server.buy(EVENT, user, 2, (user % 2 == 0).then_some("9f")).await;
    }
    let all = entries(&server.stock).await;
    let done: Vec<_> =
        all[..5].iter().map(|entry| spike_stock::ledger::settled(entry, |_| ClaimState::Pending)).collect();
    assert_eq!(server.stock.settle(EVENT, EPOCH, &done).await.unwrap(), 10);
    reopen(&mut server).await;
    assert_eq!(entries(&server.stock).await, all[5..], "settled ones are gone, all others are whole");
    assert!(server.stock.meta(EVENT).await.unwrap().is_none(), "no figures before a rebuild");
    assert_eq!(
        server.stock.held_epoch(EVENT).await.unwrap(),
        EPOCH,
        "the next epoch is above the outbox's (V12)"
    );
    let unknown = server.stock.lookup(EVENT, UserId(20)).await;
    assert!(matches!(unknown, Err(StockError::Fenced)), "an acknowledged order is not denied: {unknown:?}");
    let closed = server.reserve(EVENT, &[(99, 1, None)]).await;
    assert!(matches!(closed, Err(StockError::Fenced)), "{closed:?}");
    let relayed = server.stock.read_new(EVENT, "relay", 100).await.unwrap();
    assert_eq!(relayed.len(), 15, "the relay starts from the first entry");
    open(&server.stock, EVENT, EPOCH + 1, 60, 3, 1000).await;
    assert!(server.stock.fence_open_now(EVENT).await.unwrap());
}

#[tokio::test]
async fn a_torn_end_is_cut_off_wherever_it_is_torn() {
    let mut server = Server::embedded();
    server.open(EVENT, 100, 3, 1000).await;
    server.buy(EVENT, 1, 1, None).await;
    let path = journal_of(server.folder.as_ref().unwrap().path());
    let whole = std::fs::metadata(&path).unwrap().len();
    server.buy(EVENT, 2, 1, Some("9f")).await;
    let bytes = std::fs::read(&path).unwrap();
    for length in whole..bytes.len() as u64 {
        reopen(&mut server).await;
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(0).unwrap();
        std::fs::write(&path, &bytes[..usize::try_from(length).unwrap()]).unwrap();
        reopen(&mut server).await;
        assert_eq!(entries(&server.stock).await.len(), 1, "torn at {length}");
    }
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    reopen(&mut server).await;
    std::fs::write(&path, flipped).unwrap();
    reopen(&mut server).await;
    assert_eq!(entries(&server.stock).await.len(), 1, "a record that is not what was written is not taken");
}

#[tokio::test]
async fn a_folder_has_one_owner_and_a_foreign_file_is_left_alone() {
    let server = Server::embedded();
    let folder = server.folder.as_ref().unwrap().path();
    let second = Stock::embedded(folder).err().expect("refused").to_string();
    assert!(second.contains("in use by another process"), "{second}");
    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(journal_of(foreign.path()), b"something else entirely").unwrap();
    let refused = Stock::embedded(foreign.path()).err().expect("refused").to_string();
    assert!(refused.contains("not a Spike journal"), "{refused}");
    assert_eq!(std::fs::read(journal_of(foreign.path())).unwrap(), b"something else entirely");
}
