//! The token bucket: never a token too many, never one lost; a key's bucket in the table at most doubles its burst.

use loom::sync::Arc;
use loom::thread;

use crate::every_order;
use crate::gcra::{Gcra, GcraTable, Quota};

const NOW: u64 = 1_000_000_000;

#[test]
fn a_burst_is_given_out_exactly() {
    every_order(|| {
        let (bucket, quota) = (Arc::new(Gcra::default()), Quota::new(1, 2));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let bucket = bucket.clone();
                thread::spawn(move || usize::from(bucket.take(quota, NOW).is_ok()))
            })
            .collect();
        let mine = usize::from(bucket.take(quota, NOW).is_ok());
        let taken: usize = mine + others.into_iter().map(|other| other.join().unwrap()).sum::<usize>();
        assert_eq!(taken, 2);
    });
}

#[test]
fn a_token_of_later_is_not_given_twice_by_a_clock_that_is_behind() {
    every_order(|| {
        let (bucket, quota) = (Arc::new(Gcra::default()), Quota::new(1, 1));
        let ahead = bucket.clone();
        let ahead = thread::spawn(move || usize::from(ahead.take(quota, NOW + 5).is_ok()));
        let behind = usize::from(bucket.take(quota, NOW).is_ok());
        assert_eq!(behind + ahead.join().unwrap(), 1);
    });
}

#[test]
fn two_cores_that_meet_a_new_key_at_once_let_at_most_one_burst_too_many_through() {
    every_order(|| {
        let (table, quota) = (Arc::new(GcraTable::new(8)), Quota::new(1, 1));
        let other = table.clone();
        let take =
            move |table: &GcraTable| (0..2).filter(|_| table.take(7 << 16, quota, NOW).is_ok()).count();
        let other = thread::spawn(move || take(&other));
        let taken = take(&table) + other.join().unwrap();
        assert!((1..=2).contains(&taken), "{taken} of a burst of one");
    });
}

#[test]
fn what_a_former_quota_left_is_cut_once_and_gives_one_token() {
    every_order(|| {
        let (bucket, slow, fast) = (Arc::new(Gcra::default()), Quota::every_ms(60_000), Quota::new(1000, 1));
        bucket.take(slow, NOW).unwrap();
        let other = bucket.clone();
        let take = move |bucket: &Gcra| {
            let times = [NOW, NOW + 1_000_000];
            times.into_iter().filter(|&now| bucket.take(fast, now).is_ok()).count()
        };
        let other = thread::spawn(move || take(&other));
        let taken = take(&bucket) + other.join().unwrap();
        assert_eq!(taken, 1);
    });
}
