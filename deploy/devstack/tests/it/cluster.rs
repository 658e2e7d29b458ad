//! The private Redis Cluster: who serves what, and what happens when it is moved, failed over and killed.

use std::time::{Duration, Instant};

use spike_devstack::fixture;

#[test]
fn a_cluster_serves_every_slot_and_a_killed_master_is_replaced() {
    let mut cluster = fixture::redis_cluster();
    for key in ["a", "b", "c", "{7}:x"] {
        assert_eq!(cluster.command(&["SET", key, "1"]).unwrap(), "OK");
        assert_eq!(cluster.command(&["GET", key]).unwrap(), "1");
    }
    let (from, key) = (cluster.master_of("{7}:x").unwrap(), "{7}:x");
    let to = (0..3).find(|&node| node != from).unwrap();
    let moving = cluster.begin_move(key, to).unwrap();
    moving.carry(key).unwrap();
    moving.finish().unwrap();
    assert_eq!((cluster.master_of(key).unwrap(), cluster.command(&["GET", key]).unwrap()), (to, "1".into()));

    let replica = cluster.fail_over(to).unwrap();
    assert_eq!((cluster.master_of(key).unwrap(), cluster.replica_of(replica).unwrap()), (replica, to));

    let killed = cluster.take(replica);
    killed.kill9();
    let until = Instant::now() + Duration::from_secs(60);
    while cluster.command(&["GET", key]).ok().as_deref() != Some("1") {
        assert!(Instant::now() < until, "nobody took the killed master's place");
        std::thread::yield_now();
    }
    killed.restart().unwrap();
}
