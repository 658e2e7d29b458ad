//! Where a message goes that could not be written.
//!
//! Trouble that is the message's own is counted: after the last tier it is parked, for a person to look at. Anything else (a
//! lock that somebody keeps, a ledger that is being rebuilt) puts it off for as long as it takes: the order was accepted, and
//! nobody needs to look at it.

use std::time::Duration;

use spike_broker::{Route, Trail, topology};

/// Rests in the second tier before the third one is used: what mends itself within half a minute is met soon after.
const QUICK_RESTS: u32 = 6;

/// After one failure more. `tiers` is not empty.
pub(super) fn counted(trail: &Trail, reason: &str, tiers: &[Duration]) -> (Route, Trail) {
    let attempts = trail.attempts.saturating_add(1);
    match tiers.get(trail.attempts as usize) {
        Some(&tier) => (Route::Retry(tier), Trail { attempts, reason: reason.to_owned(), ..trail.clone() }),
        None => {
            let (to, parked) = parked(&format!("not written in {attempts} attempts: {reason}"));
            (to, Trail { attempts, rests: trail.rests, ..parked })
        }
    }
}

/// Put off without being counted, never for as long as the last tier.
pub(super) fn put_off(trail: &Trail, reason: &str, tiers: &[Duration]) -> (Route, Trail) {
    let wanted = match trail.rests {
        0 => 0,
        rests if rests <= QUICK_RESTS => 1,
        _ => 2,
    };
    let tier = tiers[wanted.min(tiers.len() - 1)];
    let rests = trail.rests.saturating_add(1);
    (Route::Retry(tier), Trail { rests, reason: reason.to_owned(), ..trail.clone() })
}

/// To the parking queue at once.
pub(super) fn parked(reason: &str) -> (Route, Trail) {
    let trail =
        Trail { reason: reason.to_owned(), parked_from: topology::ORDERS.to_owned(), ..Trail::default() };
    (Route::Parking, trail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIERS: [Duration; 4] =
        [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

    fn seconds(route: Route) -> u64 {
        match route {
            Route::Retry(tier) => tier.as_secs(),
            Route::Parking => 0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_counted_walks_every_tier_once_and_is_parked() {
        let mut trail = Trail { rests: 9, ..Trail::default() };
        let mut walk = Vec::new();
        for _ in 0..5 {
            let (route, next) = counted(&trail, "no", &TIERS);
            walk.push(seconds(route));
            trail = next;
        }
        assert_eq!(walk, [1, 5, 30, 120, 0]);
        assert_eq!((trail.attempts, trail.rests), (5, 9));
        assert_eq!(trail.reason, "not written in 5 attempts: no");
        assert_eq!(trail.parked_from, topology::ORDERS);
        assert_eq!(counted(&Trail { attempts: u32::MAX, ..Trail::default() }, "", &TIERS).0, Route::Parking);
    }

    #[test]
    fn what_is_not_counted_is_put_off_for_ever_and_never_for_long() {
        let mut trail = Trail { attempts: 3, ..Trail::default() };
        let mut walk = Vec::new();
        for _ in 0..100 {
            let (route, next) = put_off(&trail, "locked", &TIERS);
            walk.push(seconds(route));
            trail = next;
        }
        assert_eq!(walk[..9], [1, 5, 5, 5, 5, 5, 5, 30, 30]);
        assert_eq!(walk[99], 30);
        assert_eq!((trail.attempts, trail.rests), (3, 100), "its own failures stay counted");
        assert_eq!(seconds(put_off(&trail, "", &TIERS[..1]).0), 1);
    }
}
