//! What can be read consistently while a sale runs: the database by one statement, the ledger by one transaction.

use super::{Findings, Invariant, Violation};

/// One statement's figures, units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseSample {
    /// S.
    pub total: u64,
    /// L.
    pub live: u64,
    /// Units back in the inventory.
    pub returned: u64,
    /// Users with two live orders.
    pub doubled: u64,
}

/// One look at a standing ledger, units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerSample {
    /// S.
    pub total: i64,
    /// R.
    pub stock: i64,
    /// Units of all claims.
    pub claimed: i64,
    /// F.
    pub inflight: i64,
}

/// Whether a sale that runs breaks I1, I2 or I3 now.
pub fn check_sample(database: Option<DatabaseSample>, ledger: Option<LedgerSample>) -> Vec<Violation> {
    let mut found = Findings::default();
    if let Some(DatabaseSample { total, live, returned, doubled }) = database {
        if live + returned > total {
            found.add(Invariant::I2, "more live units than stock", format!("{live} + {returned} of {total}"));
        }
        if doubled > 0 {
            found.add(Invariant::I3, "users with two live orders", doubled);
        }
    }
    if let Some(LedgerSample { total, stock, claimed, inflight }) = ledger {
        if stock < 0 || inflight < 0 {
            found.add(Invariant::I1, "figures below zero", format!("stock {stock}, in flight {inflight}"));
        }
        if stock + claimed != total {
            let text = format!("{stock} + {claimed} of {total}");
            found.add(Invariant::I1, "units free and claimed in Redis are not the stock", text);
        }
    }
    found.into_violations()
}
