//! Which deliveries are in hand, so that a whole run of them can be acknowledged with one frame.

use std::collections::BTreeSet;

/// Tags delivered and neither acknowledged nor rejected.
#[derive(Debug, Default)]
pub(crate) struct Unacked(BTreeSet<u64>);

/// One acknowledgement to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) tag: u64,
    /// Whether it speaks for every delivery in hand up to `tag`.
    pub(crate) multiple: bool,
}

impl Unacked {
    pub(crate) fn delivered(&mut self, tag: u64) {
        self.0.insert(tag);
    }

    /// False when it was not in hand: acknowledging a tag twice makes the broker close the channel.
    pub(crate) fn take(&mut self, tag: u64) -> bool {
        self.0.remove(&tag)
    }

    /// Takes `tags` out of hand and says what to send for them: one frame for all that are older than every delivery that
    /// stays in hand, one frame each for the others.
    pub(crate) fn acknowledge(&mut self, tags: &[u64]) -> Vec<Ack> {
        let taken: BTreeSet<u64> = tags.iter().copied().filter(|tag| self.0.remove(tag)).collect();
        let oldest_kept = self.0.first().copied().unwrap_or(u64::MAX);
        let run = taken.range(..oldest_kept).next_back().copied();
        let together = run.map(|tag| Ack { tag, multiple: true });
        let single = taken.range(oldest_kept..).map(|&tag| Ack { tag, multiple: false });
        together.into_iter().chain(single).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(in_hand: &[u64], tags: &[u64], want: &[(u64, bool)]) {
        let mut unacked = Unacked::default();
        in_hand.iter().for_each(|&tag| unacked.delivered(tag));
        let acks: Vec<_> = unacked.acknowledge(tags).into_iter().map(|ack| (ack.tag, ack.multiple)).collect();
        assert_eq!(acks, want, "{in_hand:?} {tags:?}");
    }

    #[test]
    fn a_run_goes_in_one_frame_and_never_speaks_for_a_delivery_in_hand() {
        check(&[1, 2, 3], &[3, 1, 2], &[(3, true)]);
        check(&[1, 2, 3, 4], &[1, 2, 4], &[(2, true), (4, false)]);
        check(&[1, 2, 3], &[2, 3], &[(2, false), (3, false)]);
        check(&[5], &[5, 5, 9], &[(5, true)]);
        check(&[5], &[], &[]);
    }

    #[test]
    fn a_tag_is_taken_once() {
        let mut unacked = Unacked::default();
        unacked.delivered(7);
        assert!(unacked.take(7));
        assert!(!unacked.take(7));
        assert_eq!(unacked.acknowledge(&[7]), []);
    }
}
