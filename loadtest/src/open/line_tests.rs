use std::net::SocketAddr;
use std::task::Waker;

use super::*;
use crate::open::{OpenSpec, Scenario, Stream};

const DEADLINE: Duration = Duration::from_secs(2);

fn spec(rate_per_s: f64) -> OpenSpec {
    OpenSpec {
        base: SocketAddr::from(([127, 0, 0, 1], 1)),
        host: "h".into(),
        streams: vec![Stream {
            name: "logins".into(),
            rate_per_s,
            scenario: Scenario::Login { accounts: vec![("a".into(), "b".into())] },
        }],
        duration: Duration::from_secs(1),
        requests_max: u64::MAX,
        connections_max: 3,
        deadline: DEADLINE,
        patience: DEADLINE,
        seed: 4,
        sources: Vec::new(),
    }
}

struct Stage {
    line: Line,
    progress: OpenProgress,
    arrivals: Vec<Arrival>,
    parked: [bool; 8],
}

impl Stage {
    fn new(connections_max: usize, spread: usize) -> Self {
        let spec = spec(20.0);
        let line = Line::new(Schedule::new(&spec), DEADLINE, connections_max, spread);
        let arrivals = Schedule::new(&spec).collect();
        Self { line, progress: OpenProgress::new(&spec), arrivals, parked: [false; 8] }
    }

    fn turn(&mut self, now: Duration) -> Vec<(usize, u64)> {
        let opened = self.line.turn(now, &self.progress);
        opened.into_iter().map(|(seat, arrival)| (seat, arrival.number)).collect()
    }

    fn next(&mut self, seat: usize, now: Duration) -> Poll<Option<u64>> {
        let context = Context::from_waker(Waker::noop());
        self.line
            .poll_next(seat, &mut self.parked[seat], now, &self.progress, &context)
            .map(|next| next.map(|arrival| arrival.number))
    }
}

#[test]
fn connections_open_one_by_one_up_to_their_limit_and_the_rest_waits_in_order() {
    let mut stage = Stage::new(3, 0);
    let fifth = stage.arrivals[4].at;
    assert_eq!(stage.turn(Duration::ZERO), []);
    assert_eq!(stage.line.next_turn(), Some(stage.arrivals[0].at));
    assert_eq!(stage.turn(fifth), [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(stage.turn(fifth), [], "three are all there are");
    assert_eq!(stage.next(1, fifth), Poll::Ready(Some(3)));
    assert_eq!(stage.next(0, fifth), Poll::Ready(Some(4)));
    assert_eq!((stage.next(2, fifth), stage.line.connections()), (Poll::Pending, 3));
    // Whoever has done its last looks at the time itself.
    assert_eq!(stage.next(1, stage.arrivals[5].at), Poll::Ready(Some(5)));
    // A free connection is used before another is opened, and only once.
    assert_eq!(stage.turn(stage.arrivals[6].at), []);
    assert_eq!(stage.next(2, stage.arrivals[6].at), Poll::Ready(Some(6)));
    assert_eq!(stage.next(2, stage.arrivals[6].at), Poll::Pending);
}

#[test]
fn every_source_has_its_connection_before_any_is_used_again() {
    let mut stage = Stage::new(8, 3);
    for number in 0..3_usize {
        let at = stage.arrivals[number].at;
        assert_eq!(stage.turn(at), [(number, number as u64)]);
        assert_eq!(stage.next(number, at), Poll::Pending);
    }
    let at = stage.arrivals[3].at;
    assert_eq!((stage.turn(at), stage.next(0, at)), (vec![], Poll::Ready(Some(3))));
}

#[test]
fn whoever_waits_too_long_is_counted_and_nobody_is_dropped() {
    let mut stage = Stage::new(1, 0);
    let count = stage.arrivals.len() as u64;
    let [first, second] = [0, 1].map(|number: usize| stage.arrivals[number].at);
    assert_eq!(stage.turn(first), [(0, 0)]);
    stage.turn(second);
    let end = Duration::from_secs(1);
    stage.turn(end);
    assert_eq!(stage.line.next_turn(), Some(second + DEADLINE), "when the first in line gives up");
    stage.turn(second + DEADLINE);
    let now = stage.progress.snapshot();
    assert_eq!((now.offered, now.not_sent, now.under_way()), (count, 1, count - 1));
    stage.turn(end + DEADLINE);
    assert_eq!(stage.progress.snapshot().not_sent, count - 1, "the one on its connection is not given up");
    assert!(stage.line.is_over());
    stage.line.close();
    assert_eq!(stage.next(0, end + DEADLINE), Poll::Ready(None));
}
