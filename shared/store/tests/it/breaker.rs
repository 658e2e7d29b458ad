//! A database that does not answer costs its callers no time once that is known, and is found again.

use std::time::{Duration, Instant};

use spike_devstack::{ChaosProxy, Fault};
use spike_store::{DatabaseSettings, Store, StoreError};

use crate::database::{fresh_url, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_fail_at_once_while_the_server_is_silent_and_recover_with_it() {
    let url = fresh_url().await;
    let (head, database) = url.rsplit_once('/').unwrap();
    let (head, at) = head.rsplit_once('@').unwrap();
    let proxy = ChaosProxy::start(at.parse().unwrap()).unwrap();
    let url = format!("{head}@{}/{database}", proxy.address());
    let brief = Duration::from_millis(300);
    let store = Store::connect(&DatabaseSettings {
        acquire_timeout: brief,
        statement_timeout: brief,
        ..settings(url)
    })
    .await
    .unwrap();
    proxy.set(Fault::Blackhole);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !store.breaker_open() {
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
        assert!(Instant::now() < deadline, "it never opens");
    }
    // Of many calls one may be the probe; the others wait for nothing.
    let mut fast = 0;
    for _ in 0..20 {
        let asked = Instant::now();
        store.ping().await.unwrap_err();
        fast += u32::from(asked.elapsed() < brief / 3);
    }
    assert!(fast >= 15, "{fast} of 20 failed at once");
    proxy.set(Fault::Healed);
    while store.ping().await.is_err() {
        assert!(Instant::now() < deadline, "it is never found again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!store.breaker_open());
    store.close().await;
}
