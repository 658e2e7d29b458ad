use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};

use spike_domain::{EventId, UserId};

use super::*;
use crate::open::Stream;
use crate::sale::Buyer;

fn buyers(count: i64) -> Vec<Buyer> {
    (0..count)
        .map(|user| Buyer { user: UserId(user), token: "t".into(), source: Ipv4Addr::UNSPECIFIED })
        .collect()
}

fn spec(seed: u64, seconds: u64, rates: &[f64]) -> OpenSpec {
    let stream = |(at, &rate_per_s): (usize, &f64)| Stream {
        name: format!("stream {at}"),
        rate_per_s,
        scenario: Scenario::Spike { event: EventId(1), buyers: buyers(500), quantity: 1 },
    };
    OpenSpec {
        base: SocketAddr::from(([127, 0, 0, 1], 1)),
        host: "h".into(),
        streams: rates.iter().enumerate().map(stream).collect(),
        duration: Duration::from_secs(seconds),
        requests_max: u64::MAX,
        connections_max: 1,
        deadline: Duration::from_secs(1),
        patience: Duration::from_secs(1),
        seed,
        sources: Vec::new(),
    }
}

fn arrivals(spec: &OpenSpec) -> Vec<Arrival> {
    Schedule::new(spec).collect()
}

#[test]
fn arrivals_end_with_the_last_request_or_with_the_time() {
    let all = arrivals(&spec(3, 10, &[200.0, 50.0]));
    let check = |requests_max, want: usize| {
        let made = arrivals(&OpenSpec { requests_max, ..spec(3, 10, &[200.0, 50.0]) });
        assert_eq!(made, all[..want]);
    };
    check(1, 1);
    check(700, 700);
    check(1_000_000, all.len());
}

#[test]
fn arrivals_come_in_order_and_at_their_mean_rate() {
    let made = arrivals(&spec(1, 100, &[200.0, 1000.0]));
    assert!(made.is_sorted_by_key(|arrival| arrival.at));
    assert!(made.last().unwrap().at < Duration::from_secs(100));
    for (stream, mean) in [(0, 20_000.0_f64), (1, 100_000.0)] {
        let of: Vec<&Arrival> = made.iter().filter(|arrival| arrival.stream == stream).collect();
        // Five standard deviations of a Poisson count.
        let count = of.len() as f64;
        assert!((count - mean).abs() < 5.0 * mean.sqrt(), "{count} arrivals instead of {mean}");
        assert!(of.iter().zip(0..).all(|(arrival, number)| arrival.number == number));
    }
}

#[test]
fn gaps_are_exponential() {
    let made = arrivals(&spec(2, 100, &[1000.0]));
    let gaps: Vec<f64> =
        made.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64() * 1000.0).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
    assert!((mean - 1.0).abs() < 0.05 && (deviation - 1.0).abs() < 0.05, "{mean} and {deviation}");
    let longer = gaps.iter().filter(|gap| **gap > 3.0).count() as f64 / gaps.len() as f64;
    assert!((longer - (-3.0_f64).exp()).abs() < 0.01, "{longer} of the gaps are three means long");
}

#[test]
fn the_seed_decides_everything_and_a_further_stream_changes_nothing_before_it() {
    let one = arrivals(&spec(7, 5, &[300.0, 300.0]));
    assert_eq!(one, arrivals(&spec(7, 5, &[300.0, 300.0])));
    assert_ne!(one, arrivals(&spec(8, 5, &[300.0, 300.0])));
    let of = |made: &[Arrival], stream| -> Vec<Arrival> {
        made.iter().filter(|arrival| arrival.stream == stream).copied().collect()
    };
    let more = arrivals(&spec(7, 5, &[300.0, 300.0, 50.0]));
    assert_eq!((of(&more, 0), of(&more, 1)), (of(&one, 0), of(&one, 1)));
    let times = |made: Vec<Arrival>| made.iter().map(|arrival| arrival.at).collect::<Vec<_>>();
    assert_ne!(times(of(&one, 0)), times(of(&one, 1)), "streams of one rate are not in step");
}

#[test]
fn each_buyer_presses_once_before_anyone_presses_again() {
    let made = arrivals(&spec(3, 10, &[200.0]));
    assert!(made.len() > 1000);
    let items: Vec<u32> = made.iter().map(|arrival| arrival.item).collect();
    assert_eq!(items[..500].iter().collect::<HashSet<_>>().len(), 500);
    assert!(!items[..500].is_sorted() && items.iter().all(|item| *item < 500));
    assert!(items[500..1000].iter().collect::<HashSet<_>>().len() < 500, "then at random");
}

#[test]
fn parts_are_chosen_by_their_weight() {
    let mut rng = Rng::with_seed(5);
    let mut pick = Pick::Parts(plan_list(4, 2));
    let mut counts = [0_u32; 18];
    for _ in 0..10_000 {
        counts[pick.next(&mut rng).0 as usize] += 1;
    }
    let [plain, sorted, searched] =
        [&counts[..4], &counts[4..16], &counts[16..]].map(|part| part.iter().sum::<u32>());
    assert!((6700..7300).contains(&plain), "{plain}");
    assert!((1300..1700).contains(&sorted) && (1300..1700).contains(&searched), "{sorted} {searched}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}
