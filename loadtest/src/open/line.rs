//! The line in front of the connections: who is due, who waits, which connection is free. No clock and no socket here.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::arrivals::{Arrival, Schedule};
use super::progress::OpenProgress;

/// Arrivals waiting for a connection, and connections waiting for an arrival; never both.
#[derive(Debug)]
pub(super) struct Line {
    schedule: Schedule,
    patience: Duration,
    connections_max: usize,
    /// So many connections are opened before any is used again.
    spread: usize,
    waiting: VecDeque<Arrival>,
    /// Free connections; the one that has been free longest is next, so that sources take turns.
    free: VecDeque<usize>,
    seats: Vec<Seat>,
    closed: bool,
}

/// What a connection that waits is told through.
#[derive(Debug, Default)]
struct Seat {
    arrival: Option<Arrival>,
    waker: Option<Waker>,
}

impl Line {
    pub(super) fn new(schedule: Schedule, patience: Duration, connections_max: usize, spread: usize) -> Self {
        Self {
            schedule,
            patience,
            connections_max,
            spread,
            waiting: VecDeque::new(),
            free: VecDeque::new(),
            seats: Vec::new(),
            closed: false,
        }
    }

    /// Lets everybody in who is due, counts those as not sent who have waited too long, gives free connections their
    /// next arrival, and says which connections are to be opened for whom.
    pub(super) fn turn(&mut self, now: Duration, progress: &OpenProgress) -> Vec<(usize, Arrival)> {
        self.admit(now, progress);
        let mut opened = Vec::new();
        while !self.waiting.is_empty() {
            let seats = self.seats.len();
            if seats < self.spread || (self.free.is_empty() && seats < self.connections_max) {
                self.seats.push(Seat::default());
                opened.extend(self.waiting.pop_front().map(|arrival| (seats, arrival)));
                continue;
            }
            let Some(seat) = self.free.pop_front() else { break };
            let seat = &mut self.seats[seat];
            seat.arrival = self.waiting.pop_front();
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
        opened
    }

    /// When the next turn is worth taking; `None` when nobody waits or will come.
    pub(super) fn next_turn(&self) -> Option<Duration> {
        let gives_up = self.waiting.front().map(|first| first.at + self.patience);
        [self.schedule.next_at(), gives_up].into_iter().flatten().min()
    }

    /// The next arrival for connection `seat`, which has done its last; `None` when no more will come. `parked` is the
    /// connection's own note that it waits.
    pub(super) fn poll_next(
        &mut self,
        seat: usize,
        parked: &mut bool,
        now: Duration,
        progress: &OpenProgress,
        context: &Context<'_>,
    ) -> Poll<Option<Arrival>> {
        if let Some(arrival) = self.seats[seat].arrival.take() {
            *parked = false;
            return Poll::Ready(Some(arrival));
        }
        if !*parked {
            // Who is awake anyway looks at the time: under load nobody waits for the next turn.
            self.admit(now, progress);
            if let Some(arrival) = self.waiting.pop_front() {
                return Poll::Ready(Some(arrival));
            }
            self.free.push_back(seat);
            *parked = true;
        }
        if self.closed {
            return Poll::Ready(None);
        }
        self.seats[seat].waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Whether nobody waits and nobody will come.
    pub(super) fn is_over(&self) -> bool {
        self.next_turn().is_none()
    }

    /// Nobody will come any more: connections that wait, or will, are done.
    pub(super) fn close(&mut self) {
        assert!(self.is_over(), "the line is closed while somebody waits");
        self.closed = true;
        for waker in self.seats.iter_mut().filter_map(|seat| seat.waker.take()) {
            waker.wake();
        }
    }

    /// How many connections have been opened.
    pub(super) fn connections(&self) -> usize {
        self.seats.len()
    }

    fn admit(&mut self, now: Duration, progress: &OpenProgress) {
        while self.schedule.next_at().is_some_and(|at| at <= now) {
            self.waiting.extend(self.schedule.next().inspect(|arrival| {
                progress.offered(arrival.stream, arrival.at, now);
            }));
        }
        while let Some(first) = self.waiting.front().filter(|first| first.at + self.patience <= now) {
            progress.not_sent(first.stream, first.at, now);
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
