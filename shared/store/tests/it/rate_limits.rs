//! Limits that an administrator sets: one row, one version, all or none.

use spike_domain::{Rate, RateLimits};
use spike_store::{Conflict, Expected, RateLimitsRow, Store, StoreError};

use crate::catalogue::conflict;

/// Each number another one, so that none is read in another's place.
const LIMITS: RateLimits = RateLimits {
    global: Rate { per_s: 0, burst: Rate::BURST_MAX },
    event: Rate { per_s: Rate::PER_S_MAX, burst: 1 },
    user: Rate { per_s: 3, burst: 4 },
    address: Rate { per_s: 5, burst: 6 },
    debounce_ms: RateLimits::DEBOUNCE_MS_MAX,
};

fn seen(version: u32) -> Expected {
    Expected::OneOf(vec![version])
}

pub async fn limits_are_set_and_given_back_in_the_version_that_was_seen(store: &Store) {
    let row = |version, set| RateLimitsRow { version, set };
    assert_eq!(store.rate_limits().await.unwrap(), row(1, None), "the configuration's at first");
    let unset = store.set_rate_limits(&seen(1), None).await.unwrap();
    assert_eq!(unset, row(1, None), "what is so already changes nothing");

    let set = store.set_rate_limits(&seen(1), Some(&LIMITS)).await.unwrap();
    assert_eq!(set, row(2, Some(LIMITS)));
    assert_eq!(store.rate_limits().await.unwrap(), set);
    assert_eq!(store.set_rate_limits(&seen(2), Some(&LIMITS)).await.unwrap(), set, "no change, no version");

    for stale in [seen(1), seen(3), Expected::OneOf(vec![])] {
        for wish in [None, Some(&LIMITS)] {
            let refused = store.set_rate_limits(&stale, wish).await.unwrap_err();
            assert_eq!(conflict(&refused), Some(Conflict::Version), "{stale:?}");
        }
    }
    assert_eq!(store.rate_limits().await.unwrap(), set);

    let back = store.set_rate_limits(&seen(2), None).await.unwrap();
    assert_eq!(back, row(3, None), "the version never starts again");
    let other = RateLimits { debounce_ms: 0, ..LIMITS };
    let again = store.set_rate_limits(&Expected::Any, Some(&other)).await.unwrap();
    assert_eq!((again, store.rate_limits().await.unwrap()), (row(4, Some(other)), again));
}

pub async fn one_of_many_who_saw_the_same_limits_changes_them(store: &Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for debounce_ms in 0..12 {
        let store = store.clone();
        tasks.spawn(async move {
            let limits = RateLimits { debounce_ms, ..LIMITS };
            match store.set_rate_limits(&seen(1), Some(&limits)).await {
                Ok(row) => Some(row),
                Err(error) => {
                    assert_eq!(conflict(&error), Some(Conflict::Version), "{error:?}");
                    None
                }
            }
        });
    }
    let won: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(won, [store.rate_limits().await.unwrap()]);
    assert_eq!(won[0].version, 2);
}

pub async fn limits_out_of_range_are_refused_by_the_table(store: &Store) {
    let over = Rate { per_s: Rate::PER_S_MAX + 1, burst: 1 };
    for limits in [
        RateLimits { global: over, ..LIMITS },
        RateLimits { event: Rate { burst: 0, ..LIMITS.event }, ..LIMITS },
        RateLimits { user: Rate { burst: Rate::BURST_MAX + 1, ..LIMITS.user }, ..LIMITS },
        RateLimits { address: Rate { per_s: u32::MAX, burst: 1 }, ..LIMITS },
        RateLimits { debounce_ms: RateLimits::DEBOUNCE_MS_MAX + 1, ..LIMITS },
    ] {
        let error = store.set_rate_limits(&Expected::Any, Some(&limits)).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_) | StoreError::Other(_)), "{limits:?}: {error:?}");
    }
    assert_eq!(store.rate_limits().await.unwrap(), RateLimitsRow { version: 1, set: None });
}
