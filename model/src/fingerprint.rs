//! 64-bit fingerprints of states. Two of n states share one with a chance of about n² / 2⁶⁵: 10⁻⁵ at twenty million. A shared
//! fingerprint would hide a state, never invent one.

use std::hash::{BuildHasher, Hash, Hasher};

use crate::state::State;

/// Odd, and without a pattern in its bits.
const FACTOR: u64 = 0xD6E8_FEB8_6659_FD93;

/// The fingerprint of a state.
pub fn fingerprint(state: &State) -> u64 {
    let mut folder = Folder { sum: 0x9E37_79B9_7F4A_7C15, word: 0, bytes: 0 };
    state.hash(&mut folder);
    folder.finish()
}

/// Packs the small fields into words and folds each word in by a wide multiplication.
struct Folder {
    sum: u64,
    word: u64,
    bytes: u32,
}

impl Folder {
    fn fold(&mut self) {
        let product = u128::from(self.sum ^ self.word) * u128::from(FACTOR);
        self.sum = ((product as u64) ^ (product >> 64) as u64).rotate_left(29).wrapping_add(FACTOR);
        (self.word, self.bytes) = (0, 0);
    }
}

impl Hasher for Folder {
    fn write_u8(&mut self, byte: u8) {
        self.word = self.word << 8 | u64::from(byte);
        self.bytes += 1;
        if self.bytes == 8 {
            self.fold();
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u8(byte));
    }

    /// The number of an enum's variant.
    fn write_isize(&mut self, number: isize) {
        self.write_u8(number as u8);
    }

    /// The length of an array, which never differs.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        let mut last = Self { ..*self };
        last.fold();
        let mixed = (last.sum ^ last.sum >> 31).wrapping_mul(0x9FB2_1C65_1E98_DF25);
        mixed ^ mixed >> 33
    }
}

/// Fingerprints are spread already: a map need not hash them once more.
#[derive(Clone, Copy, Default, Debug)]
pub struct Spread;

impl BuildHasher for Spread {
    type Hasher = Same;

    fn build_hasher(&self) -> Same {
        Same(0)
    }
}

/// The number itself.
pub struct Same(u64);

impl Hasher for Same {
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are keys");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Row;

    #[test]
    fn a_change_anywhere_changes_the_fingerprint() {
        let state = State::default();
        let mut seen = vec![fingerprint(&state)];
        let mut other = |change: &dyn Fn(&mut State)| {
            let mut changed = state;
            change(&mut changed);
            let print = fingerprint(&changed);
            assert!(!seen.contains(&print), "{changed:?}");
            seen.push(print);
        };
        other(&|state| state.ledger.stock = 1);
        other(&|state| state.ledger.stock = -1);
        other(&|state| state.ledger.fence_open = true);
        other(&|state| state.database.orders[7].row = Row::Lost);
        other(&|state| state.database.orders[6].row = Row::Lost);
        other(&|state| state.synced = Some(state.ledger));
        other(&|state| state.moves_left = 1);
        assert_eq!(fingerprint(&state), seen[0]);
    }
}
