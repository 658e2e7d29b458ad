//! Finding the order that spoils a batch: halve what fails, until what fails is one order.

use std::ops::Range;

/// Which runs of a batch are still to be written. A run that fails is halved; the other runs go on as they are.
#[derive(Debug)]
pub(crate) struct Bisect {
    /// The next run is the last one here.
    pending: Vec<Range<usize>>,
    /// The item that failed alone once.
    doubted: Option<usize>,
}

impl Bisect {
    /// A batch of `count` items, to be tried as a whole first.
    pub(crate) fn new(count: usize) -> Self {
        Self { pending: Vec::from_iter((count > 0).then_some(0..count)), doubted: None }
    }

    /// The run to try now; `None` when all is written or named.
    pub(crate) fn next_run(&mut self) -> Option<Range<usize>> {
        self.pending.pop()
    }

    /// `run` failed. Names its item when it is one and has failed alone twice, so that a server with a full disk is less
    /// easily taken for a bad order; else what to try next is the halves of `run`, or the item again.
    pub(crate) fn failed(&mut self, run: &Range<usize>) -> Option<usize> {
        if run.len() <= 1 {
            if self.doubted == Some(run.start) {
                return Some(run.start);
            }
            self.doubted = Some(run.start);
            self.pending.push(run.clone());
            return None;
        }
        let middle = run.start + run.len() / 2;
        self.pending.extend([middle..run.end, run.start..middle]);
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes `count` items of which `poison` spoil their run: what was written, what was named, and the attempts.
    fn run(count: usize, poison: &[usize]) -> (Vec<usize>, Vec<usize>, usize) {
        let (mut written, mut named, mut attempts) = (Vec::new(), Vec::new(), 0);
        let mut bisect = Bisect::new(count);
        while let Some(run) = bisect.next_run() {
            attempts += 1;
            if run.clone().any(|item| poison.contains(&item)) {
                named.extend(bisect.failed(&run));
            } else {
                written.extend(run);
            }
        }
        (written, named, attempts)
    }

    #[test]
    fn a_clean_batch_is_one_attempt_and_one_bad_order_costs_two_a_halving() {
        assert_eq!(run(0, &[]), (vec![], vec![], 0));
        assert_eq!(run(1024, &[]).2, 1);
        assert_eq!(run(1024, &[700]).2, 22);
        assert_eq!(run(1, &[0]), (vec![], vec![0], 2));
    }

    proptest! {
        #[test]
        fn every_item_is_written_once_or_named(
            count in 0usize..200,
            poison in proptest::collection::btree_set(0usize..200, 0..8),
        ) {
            let poison: Vec<usize> = poison.into_iter().filter(|&item| item < count).collect();
            let (written, named, _) = run(count, &poison);
            prop_assert_eq!(&named, &poison);
            prop_assert_eq!(written, (0..count).filter(|item| !poison.contains(item)).collect::<Vec<_>>());
        }
    }
}
