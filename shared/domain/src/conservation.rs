//! The figures of one event that must always add up (I1): S = R + L + F + K.

use serde::{Deserialize, Serialize};

/// Units of one event, wherever they are. Signed, so that a broken ledger can be shown rather than wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(non_snake_case, reason = "the letters are the field's names in the invariants and in every report")]
pub struct Conservation {
    /// Initial stock.
    pub S: i64,
    /// Stock left in Redis.
    pub R: i64,
    /// Live orders in the database (pending or paid).
    pub L: i64,
    /// Accepted, not yet in the database.
    pub F: i64,
    /// Cancelled in the database, not yet restocked in Redis.
    pub K: i64,
}

impl Conservation {
    /// S - (R + L + F + K): zero when nothing is lost and nothing is sold twice.
    pub fn drift(&self) -> i64 {
        self.S - (self.R + self.L + self.F + self.K)
    }

    /// Whether every figure is possible and they add up.
    pub fn holds(&self) -> bool {
        self.drift() == 0 && [self.S, self.R, self.L, self.F, self.K].iter().all(|&units| units >= 0)
    }

    /// Whether nothing is under way any more.
    pub fn at_rest(&self) -> bool {
        self.F == 0 && self.K == 0
    }
}
