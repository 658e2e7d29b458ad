//! Redis keeps what it acknowledged, because the shipped profile writes before it answers.

use std::path::Path;

use spike_devstack::{RedisOptions, RedisServer, fixture};

#[test]
fn an_acknowledged_write_survives_kill_9() {
    let redis = fixture::redis();
    for n in 0..50 {
        assert_eq!(redis.command(&["SET", &format!("key{n}"), "kept"]).expect("set"), "OK");
    }
    let before = redis.pid().expect("it runs");
    redis.kill9();
    assert_eq!(redis.pid(), None);
    assert!(redis.command(&["PING"]).is_err());
    redis.restart().expect("restarted");
    assert_ne!(redis.pid().expect("it runs"), before);
    assert_eq!(redis.command(&["DBSIZE"]).expect("size"), "50");
    assert_eq!(redis.command(&["GET", "key49"]).expect("get"), "kept");
}

#[test]
fn a_wiped_server_is_empty_on_the_same_port() {
    let redis = fixture::redis();
    let url = redis.url();
    redis.command(&["SET", "key", "lost"]).expect("set");
    redis.wipe().expect("wiped");
    assert_eq!(redis.command(&["DBSIZE"]).expect("size"), "0");
    assert_eq!(redis.url(), url);
}

#[test]
fn the_profile_is_the_shipped_one_unless_options_say_otherwise() {
    let shipped = fixture::redis();
    let options = RedisOptions {
        appendonly: false,
        appendfsync: "no".into(),
        noeviction: false,
        extra: vec!["maxmemory 64mb".into()],
        ..RedisOptions::default()
    };
    let other = RedisServer::start(&fixture::folder("redis"), options).expect("started");
    for (server, name, expected) in [
        (&shipped, "aof_enabled", "1"),
        (&shipped, "maxmemory_policy", "noeviction"),
        (&other, "aof_enabled", "0"),
        (&other, "maxmemory_policy", "allkeys-lru"),
        (&other, "maxmemory", "67108864"),
    ] {
        let info = server.command(&["INFO"]).expect("info");
        assert!(info.lines().any(|line| line.trim() == format!("{name}:{expected}")), "{name} {expected}");
    }
}

#[test]
fn a_frozen_server_answers_when_it_goes_on() {
    let redis = fixture::redis();
    redis.pause().expect("paused");
    assert!(redis.command(&["PING"]).is_err());
    redis.resume().expect("resumed");
    assert_eq!(redis.command(&["PING"]).expect("ping"), "PONG");
}

#[test]
fn dropping_it_ends_the_process() {
    let redis = fixture::redis();
    let proc_entry = format!("/proc/{}", redis.pid().expect("it runs"));
    assert!(Path::new(&proc_entry).exists());
    drop(redis);
    assert!(!Path::new(&proc_entry).exists());
}

#[test]
fn a_server_that_cannot_start_shows_its_log() {
    let options = RedisOptions { extra: vec!["no-such-directive 1".into()], ..RedisOptions::default() };
    let error = RedisServer::start(&fixture::folder("redis"), options).expect_err("it cannot start");
    let text = error.to_string();
    assert!(text.contains("redis ended while starting") && text.contains("no-such-directive"), "{text}");
}
