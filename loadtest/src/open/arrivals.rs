//! Who arrives when, from a seed: a Poisson process a stream, merged in the order of time. No clock is read here.

use std::iter::FusedIterator;
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

use super::requests::{plan_browse, plan_list};
use super::{OpenSpec, Scenario};

/// One arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When, from the start of the run.
    pub at: Duration,
    /// Index of its stream.
    pub stream: usize,
    /// Its number within the stream, from 0.
    pub number: u64,
    /// Which of the stream's requests or buyers.
    pub item: u32,
    /// Which product, for orders.
    pub product: u32,
}

/// All arrivals of a load, in order. A stream added at the end leaves those before it as they were.
#[derive(Debug, Clone)]
pub struct Schedule {
    streams: Vec<StreamSchedule>,
    duration_s: f64,
    left: u64,
}

#[derive(Debug, Clone)]
struct StreamSchedule {
    rng: Rng,
    rate_per_s: f64,
    /// When its next arrival is due, seconds. A double holds a week to a tenth of a nanosecond.
    next_s: f64,
    number: u64,
    pick: Pick,
}

/// How a stream chooses its requests.
#[derive(Debug, Clone)]
pub(super) enum Pick {
    /// Weighted parts of a list, each uniform within.
    Parts(Vec<(f64, Range<u32>)>),
    /// Buyer and product, each uniform.
    Pair { buyers: u32, products: u32 },
    /// Each once in random order, then uniform.
    OnceEach { order: Vec<u32>, at: usize },
}

impl Schedule {
    /// The schedule of a spec that has passed its check.
    pub fn new(spec: &OpenSpec) -> Self {
        let mut seeds = Rng::with_seed(spec.seed);
        let streams = spec.streams.iter().map(|stream| {
            let mut rng = seeds.fork();
            let pick = Pick::new(&stream.scenario, &mut rng);
            let next_s = gap_s(&mut rng, stream.rate_per_s);
            StreamSchedule { rng, rate_per_s: stream.rate_per_s, next_s, number: 0, pick }
        });
        Self { streams: streams.collect(), duration_s: spec.duration.as_secs_f64(), left: spec.requests_max }
    }

    /// When the next arrival is due.
    pub fn next_at(&self) -> Option<Duration> {
        self.first().map(|stream| Duration::from_secs_f64(self.streams[stream].next_s))
    }

    fn first(&self) -> Option<usize> {
        let due = |at: &usize| self.streams[*at].next_s;
        let first = (0..self.streams.len()).min_by(|one, two| due(one).total_cmp(&due(two)))?;
        (self.left > 0 && due(&first) < self.duration_s).then_some(first)
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let at = self.first()?;
        let stream = &mut self.streams[at];
        let (item, product) = stream.pick.next(&mut stream.rng);
        let arrival = Arrival {
            at: Duration::from_secs_f64(stream.next_s),
            stream: at,
            number: stream.number,
            item,
            product,
        };
        self.left -= 1;
        stream.number += 1;
        stream.next_s += gap_s(&mut stream.rng, stream.rate_per_s);
        Some(arrival)
    }
}

impl FusedIterator for Schedule {}

/// An exponential gap by inversion; the logarithm's argument lies in (0, 1].
fn gap_s(rng: &mut Rng, rate_per_s: f64) -> f64 {
    -(1.0 - rng.f64()).ln() / rate_per_s
}

impl Pick {
    fn new(scenario: &Scenario, rng: &mut Rng) -> Self {
        let count = |items: usize| u32::try_from(items).expect("checked with the spec");
        let any = |items: usize| Self::Parts(vec![(1.0, 0..count(items))]);
        match scenario {
            Scenario::Login { accounts } => any(accounts.len()),
            Scenario::ProductList { pages, searches, .. } => {
                Self::Parts(plan_list(*pages, count(searches.len())))
            }
            Scenario::Browse { events, products } => {
                Self::Parts(plan_browse(count(events.len()), count(products.len())))
            }
            Scenario::Order { buyers, products } => {
                Self::Pair { buyers: count(buyers.len()), products: count(products.len()) }
            }
            Scenario::Spike { buyers, .. } => {
                let mut order: Vec<u32> = (0..count(buyers.len())).collect();
                rng.shuffle(&mut order);
                Self::OnceEach { order, at: 0 }
            }
            Scenario::Bots { buyers, .. } => any(buyers.len()),
        }
    }

    fn next(&mut self, rng: &mut Rng) -> (u32, u32) {
        match self {
            Self::Parts(parts) => {
                let mut point = rng.f64() * parts.iter().map(|(weight, _)| weight).sum::<f64>();
                let within = parts.iter().find(|(weight, _)| {
                    point -= weight;
                    point < 0.0
                });
                // The sum may be rounded to more than its parts.
                let (_, range) = within.or(parts.last()).expect("a scenario asks for something");
                (rng.u32(range.clone()), 0)
            }
            Self::Pair { buyers, products } => (rng.u32(0..*buyers), rng.u32(0..*products)),
            Self::OnceEach { order, at } => match order.get(*at) {
                Some(&item) => {
                    *at += 1;
                    (item, 0)
                }
                None => (rng.u32(0..u32::try_from(order.len()).expect("made from a u32")), 0),
            },
        }
    }
}

#[cfg(test)]
#[path = "arrivals_tests.rs"]
mod tests;
