//! The sold-out flag: a late reply never hides stock, one probe goes out, and a dead ledger is never "sold out".

use loom::sync::Arc;
use loom::thread;

use crate::every_order;
use crate::sold_out::{PROBE_MS, Sale, SoldOutFlag};

const LIFE_MS: u64 = 500;

#[test]
fn a_reply_from_before_a_release_never_outlives_it() {
    every_order(|| {
        let flag = Arc::new(SoldOutFlag::new(LIFE_MS));
        let (late, follower) = (flag.clone(), flag.clone());
        let late = thread::spawn(move || late.set(5, 1000));
        let follower = thread::spawn(move || follower.observe(6));
        late.join().unwrap();
        follower.join().unwrap();
        assert_eq!(flag.ask(1001), Sale::Selling);
    });
}

#[test]
fn stock_seen_in_a_version_beats_sold_out_in_an_older_one_and_news_beat_both() {
    every_order(|| {
        let flag = Arc::new(SoldOutFlag::new(LIFE_MS));
        let (old, stock, new) = (flag.clone(), flag.clone(), flag.clone());
        let old = thread::spawn(move || old.set(5, 1000));
        let stock = thread::spawn(move || stock.clear(6));
        let new = thread::spawn(move || new.set(7, 1000));
        for thread in [old, stock, new] {
            thread.join().unwrap();
        }
        assert_eq!(flag.ask(1001), Sale::SoldOut, "version 7 says so last, whoever comes last");
    });
}

#[test]
fn of_those_who_ask_after_its_life_one_is_the_probe() {
    every_order(|| {
        let flag = Arc::new(SoldOutFlag::new(LIFE_MS));
        flag.set(1, 1000);
        let at = 1000 + LIFE_MS;
        let others: Vec<_> = (0..2)
            .map(|_| {
                let flag = flag.clone();
                thread::spawn(move || flag.ask(at))
            })
            .collect();
        let mut answers = vec![flag.ask(at)];
        answers.extend(others.into_iter().map(|other| other.join().unwrap()));
        let probes = answers.iter().filter(|answer| **answer == Sale::Selling).count();
        assert_eq!(probes, 1, "{answers:?}");
    });
}

#[test]
fn a_probe_without_an_answer_lapses_whoever_asks() {
    every_order(|| {
        let flag = Arc::new(SoldOutFlag::new(LIFE_MS));
        flag.set(1, 1000);
        let probe_at = 1000 + LIFE_MS;
        let other = flag.clone();
        let other = thread::spawn(move || other.ask(probe_at));
        flag.ask(probe_at);
        other.join().unwrap();
        let over = probe_at + PROBE_MS;
        let late = flag.clone();
        let late = thread::spawn(move || late.ask(over));
        assert_eq!((flag.ask(over), late.join().unwrap()), (Sale::Selling, Sale::Selling));
    });
}

#[test]
fn a_ledger_that_is_away_says_nothing_and_its_last_reply_counts_again() {
    every_order(|| {
        let flag = Arc::new(SoldOutFlag::new(LIFE_MS));
        flag.set(2, 1000);
        let (away, old) = (flag.clone(), flag.clone());
        let away = thread::spawn(move || away.lapse());
        let old = thread::spawn(move || old.set(1, 1000));
        away.join().unwrap();
        old.join().unwrap();
        assert_eq!(flag.ask(1001), Sale::Selling, "an older reply sets nothing, before or after");
    });
}
