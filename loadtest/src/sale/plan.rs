//! Who presses when, decided before the run from a seed, so that a run can be repeated press by press.

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;

use fastrand::Rng;

use super::{Buyer, SaleSpec};

/// How presses are spread. Every buyer presses at least once after the opening while the requests last; the presses
/// that remain are those of buyers drawn at random.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PressPlan {
    /// The share of all requests pressed before the opening.
    pub early: f64,
    /// The share of further presses that carry the idempotency key of the buyer's first; the others carry none.
    pub replayed: f64,
}

impl Default for PressPlan {
    fn default() -> Self {
        Self { early: 0.01, replayed: 0.2 }
    }
}

/// One press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Press {
    /// Index into the buyers.
    pub buyer: u32,
    /// Whether it carries the buyer's idempotency key.
    pub keyed: bool,
}

/// The presses of the buyers of one source address, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lane {
    /// Before the opening.
    pub early: Vec<Press>,
    /// From the opening on.
    pub main: Vec<Press>,
}

/// The source addresses of `buyers`, in order.
pub fn sources(buyers: &[Buyer]) -> Vec<Ipv4Addr> {
    let distinct: HashSet<Ipv4Addr> = buyers.iter().map(|buyer| buyer.source).collect();
    let mut sources: Vec<Ipv4Addr> = distinct.into_iter().collect();
    sources.sort_unstable();
    sources
}

/// The presses of a whole sale, by source address.
pub fn plan(spec: &SaleSpec) -> BTreeMap<Ipv4Addr, Lane> {
    let mut rng = Rng::with_seed(spec.seed);
    let mut lanes: BTreeMap<Ipv4Addr, Lane> =
        sources(&spec.buyers).into_iter().map(|source| (source, Lane::default())).collect();
    let requests = usize::try_from(spec.requests).expect("checked with the spec");
    let early = early_count(requests, spec.presses.early);
    let mut lane_of = |press: Press, is_early: bool| {
        let source = spec.buyers[press.buyer as usize].source;
        let lane = lanes.get_mut(&source).expect("every source has a lane");
        if is_early { lane.early.push(press) } else { lane.main.push(press) }
    };
    for buyer in draw(&mut rng, spec.buyers.len(), early) {
        lane_of(Press { buyer, keyed: false }, true);
    }
    for press in presses(&mut rng, spec.buyers.len(), requests - early, spec.presses.replayed) {
        lane_of(press, false);
    }
    lanes
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the share lies within 0 and 1, so the product within 0 and requests"
)]
fn early_count(requests: usize, share: f64) -> usize {
    ((requests as f64 * share).round() as usize).min(requests)
}

/// `count` buyers in a random order, each once before any comes twice.
fn draw(rng: &mut Rng, buyers: usize, count: usize) -> Vec<u32> {
    let buyers = u32::try_from(buyers).expect("checked with the spec");
    let mut drawn: Vec<u32> = (0..buyers).collect();
    rng.shuffle(&mut drawn);
    drawn.truncate(count);
    while drawn.len() < count {
        drawn.push(rng.u32(0..buyers));
    }
    drawn
}

/// The presses from the opening on. The first press of a buyer carries a key when a later one will repeat it.
fn presses(rng: &mut Rng, buyers: usize, count: usize, replayed: f64) -> Vec<Press> {
    let mut order = draw(rng, buyers, count);
    rng.shuffle(&mut order);
    let mut first: Vec<Option<usize>> = vec![None; buyers];
    let mut presses: Vec<Press> = order.into_iter().map(|buyer| Press { buyer, keyed: false }).collect();
    for at in 0..presses.len() {
        match first[presses[at].buyer as usize] {
            None => first[presses[at].buyer as usize] = Some(at),
            Some(before) if rng.f64() < replayed => {
                presses[at].keyed = true;
                presses[before].keyed = true;
            }
            Some(_) => {}
        }
    }
    presses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(buyers: usize, count: usize) -> Vec<Press> {
        let made = presses(&mut Rng::with_seed(7), buyers, count, 0.25);
        let distinct: HashSet<u32> = made.iter().map(|press| press.buyer).collect();
        assert_eq!(made.len(), count);
        assert_eq!(distinct.len(), buyers.min(count), "everyone presses while the presses last");
        made
    }

    #[test]
    fn every_buyer_presses_and_no_request_is_left_over() {
        check(10, 3);
        check(10, 10);
        check(1, 5);
        check(1000, 10_000);
    }

    #[test]
    fn a_replay_repeats_the_first_press_and_the_share_is_kept() {
        let made = check(1000, 10_000);
        let mut first_keyed: BTreeMap<u32, bool> = BTreeMap::new();
        let mut replays = 0;
        for press in &made {
            let first = *first_keyed.entry(press.buyer).or_insert(press.keyed);
            assert!(first || !press.keyed, "buyer {} repeats a key never sent", press.buyer);
            replays += u32::from(press.keyed);
        }
        replays -= u32::try_from(first_keyed.values().filter(|keyed| **keyed).count()).unwrap();
        assert!((2000..2500).contains(&replays), "a quarter of 9000 further presses, not {replays}");
        assert!(made[..1000].iter().map(|press| press.buyer).collect::<HashSet<_>>().len() < 800, "shuffled");
    }

    #[test]
    fn the_seed_decides_everything() {
        let made = |seed| presses(&mut Rng::with_seed(seed), 50, 200, 0.5);
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }

    #[test]
    fn early_presses_are_their_share() {
        assert_eq!(
            [(1000, 0.01), (10, 0.0), (10, 1.0), (3, 0.5)].map(|(n, share)| early_count(n, share)),
            [10, 0, 10, 2]
        );
    }
}
