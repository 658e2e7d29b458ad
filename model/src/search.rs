//! Breadth-first search through every reachable state: the first violation found is one of the fewest steps.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::fingerprint::{Spread, fingerprint};
use crate::invariants::{NO_END, Violation};
use crate::model::{Model, Successors};
use crate::state::State;
use crate::step::{Cause, Step};

/// Steps after which a drain is taken to go on for ever without a circle; real ones end within a tenth of it.
const DRAIN_STEPS_MAX: usize = 400;
/// How many states are drained each, before only one in [`DRAIN_ONE_IN`] is.
const DRAIN_ALL_UP_TO: usize = 20_000;
/// Of later states, which part is drained.
const DRAIN_ONE_IN: u64 = 64;

/// A way to a broken invariant.
#[derive(Debug, Clone)]
pub struct Trace {
    /// What is broken at its end.
    pub violation: Violation,
    /// The steps and where each of them leads.
    pub steps: Vec<(Step, State)>,
    /// How many of the last steps are the fault-free drain: what comes by itself.
    pub drained: usize,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Different states seen.
    pub states: usize,
    /// Steps to the farthest of them.
    pub depth: usize,
    /// States in which nothing was left to do.
    pub at_rest: usize,
    /// Longest drain, in steps.
    pub drain_max: usize,
    /// The search ended at its limit, not at the end.
    pub truncated: bool,
    /// The first violation.
    pub trace: Option<Trace>,
    /// How long it took.
    pub took: Duration,
}

/// Explores every state of `model`, or as many as its instance allows.
pub fn explore(model: &Model) -> Outcome {
    Search::new(model).run()
}

struct Search<'a> {
    model: &'a Model,
    /// Each state's predecessor, by fingerprint; 0 for the first.
    seen: HashMap<u64, u64, Spread>,
    at_rest: usize,
    drain_max: usize,
}

/// Where a violation was found: the state, its fingerprint, and the drain that led from it to the violation.
struct Found {
    violation: Violation,
    print: u64,
    drain: Vec<(Step, State)>,
}

impl<'a> Search<'a> {
    fn new(model: &'a Model) -> Self {
        Self { model, seen: HashMap::default(), at_rest: 0, drain_max: 0 }
    }

    fn run(mut self) -> Outcome {
        let began = Instant::now();
        let start = self.model.start();
        let mut level = vec![start];
        let (mut depth, mut found, mut truncated) = (0, None, false);
        self.seen.insert(fingerprint(&start), 0);
        while !level.is_empty() && found.is_none() && !truncated {
            let (next, hit) = self.expand(&level);
            depth += usize::from(!next.is_empty());
            (level, found) = (next, hit);
            truncated = self.seen.len() >= self.model.instance.states_max;
        }
        let truncated = truncated && found.is_none() && !level.is_empty();
        let trace = found.map(|found| self.trace(start, found));
        let (states, at_rest, drain_max) = (self.seen.len(), self.at_rest, self.drain_max);
        Outcome { states, depth, at_rest, drain_max, truncated, trace, took: began.elapsed() }
    }

    /// The states one step further that have not been seen before, up to the first violation.
    fn expand(&mut self, level: &[State]) -> (Vec<State>, Option<Found>) {
        let mut next_level = Vec::new();
        let mut out = Successors::new();
        for state in level {
            let print = fingerprint(state);
            self.model.successors(state, &mut out);
            let busy = out.iter().any(|(step, _)| step.cause() == Cause::Work);
            if !busy && self.model.healthy(state) {
                self.at_rest += 1;
                if let Err(violation) = self.model.check_rest(state) {
                    return (next_level, Some(Found { violation, print, drain: Vec::new() }));
                }
            }
            for (_, next) in out.drain(..) {
                let next_print = fingerprint(&next);
                let std::collections::hash_map::Entry::Vacant(place) = self.seen.entry(next_print) else {
                    continue;
                };
                place.insert(print);
                if let Some(found) = self.judge(&next, next_print) {
                    return (next_level, Some(found));
                }
                next_level.push(next);
            }
        }
        (next_level, None)
    }

    fn judge(&mut self, state: &State, print: u64) -> Option<Found> {
        let (violation, drain) = match self.model.check_always(state) {
            Err(violation) => (violation, Vec::new()),
            Ok(()) if self.seen.len() <= DRAIN_ALL_UP_TO || print.is_multiple_of(DRAIN_ONE_IN) => {
                let (drain, violation) = drain(self.model, *state);
                self.drain_max = self.drain_max.max(drain.len());
                (violation?, drain)
            }
            Ok(()) => return None,
        };
        Some(Found { violation, print, drain })
    }

    /// Finds the steps again, from predecessor to predecessor.
    fn trace(&self, start: State, found: Found) -> Trace {
        let mut path = vec![found.print];
        while let Some(&before) = self.seen.get(path.last().expect("it has the violation's state")) {
            path.push(before);
        }
        let mut steps = Vec::new();
        let (mut state, mut out) = (start, Successors::new());
        // The last one is the 0 before the start, then comes the start itself.
        for print in path.iter().rev().skip(2) {
            self.model.successors(&state, &mut out);
            let step = out.iter().find(|(_, next)| fingerprint(next) == *print);
            let &(step, next) = step.expect("the same state has the same successors");
            steps.push((step, next));
            state = next;
        }
        let drained = found.drain.len();
        steps.extend(found.drain);
        Trace { violation: found.violation, steps, drained }
    }
}

/// Lets the system run by itself until it rests, or goes round in a circle, or something is wrong.
fn drain(model: &Model, mut state: State) -> (Vec<(Step, State)>, Option<Violation>) {
    let mut steps = Vec::new();
    let mut prints = vec![fingerprint(&state)];
    while let Some((step, next)) = model.drain(&state) {
        steps.push((step, next));
        state = next;
        if let Err(violation) = model.check_always(&state) {
            return (steps, Some(violation));
        }
        let print = fingerprint(&state);
        if prints.contains(&print) || steps.len() >= DRAIN_STEPS_MAX {
            return (steps, Some(NO_END));
        }
        prints.push(print);
    }
    (steps, model.check_rest(&state).err())
}
