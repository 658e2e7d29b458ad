//! Planted protocol bugs, to see whether the tests notice (`make mutants-protocol`).
//!
//! Each is one small place in the code that leaves out what the protocol demands. They exist in builds with the feature
//! `mutants` only, which no optimised build may have, and there only the one that `SPIKE_TEST_MUTANT` names.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("planted bugs belong to no release build: leave out the feature `mutants`");

macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal;)+) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant { $($(#[doc = $doc])+ $variant),+ }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// What it is called in `SPIKE_TEST_MUTANT`.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name),+ } }
        }
    };
}

mutants! {
    /// V1: entries of any epoch are written.
    InsertEpoch, "V1";
    /// V2: a rebuild counts orders that have a row.
    CountOrders, "V2";
    /// V3: a rebuild leaves restock markers open.
    CloseMarkers, "V3";
    /// V4: a release asks for no epoch and no standing ledger.
    ReleaseFence, "V4";
    /// V5: a rebuild forgets the keys of dead orders.
    KeysStay, "V5";
    /// V6: the rows of a rebuild are read in whatever epoch it is.
    SnapshotEpoch, "V6";
    /// V7: a rebuild's connection comes back by itself.
    OneConnection, "V7";
    /// V8: what adopt counts gets no entry.
    AdoptEntry, "V8";
    /// V9: what adopt refuses is forgotten.
    RefusalRemembered, "V9";
    /// V10: nobody settles what a killed worker has left.
    SettleSweep, "V10";
    /// V11: a poison order gets no row.
    PoisonRow, "V11";
    /// V12: a new epoch is above the database's last one only.
    EpochAboveAll, "V12";
    /// Messages are acknowledged before their orders are committed.
    AckBeforeCommit, "ack-before-commit";
    /// Reserve takes units before it has checked whether there are any.
    DecrementBeforeChecks, "decrement-before-checks";
    /// The relay's group begins at the end of the stream.
    GroupAtEnd, "group-at-end";
    /// The outbox is trimmed.
    MaxLen, "maxlen";
    /// Whoever meets NOSCRIPT loads the script.
    EvalFallback, "eval-fallback";
    /// A release gives back whatever its user holds.
    RestockWithoutCompare, "restock-without-compare";
    /// A payment writes what it has read to be payable before.
    ReadThenWritePay, "read-then-write-pay";
    /// A message that the broker returns counts as confirmed.
    IgnoredReturn, "ignored-return";
    /// A sold-out flag is cleared by news older than what has set it.
    UnversionedClear, "unversioned-clear";
}

/// Whether this bug is in this process.
#[cfg(feature = "mutants")]
pub fn on(mutant: Mutant) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<Mutant>> = std::sync::LazyLock::new(|| {
        let name = std::env::var("SPIKE_TEST_MUTANT").ok().filter(|name| !name.is_empty())?;
        let known = Mutant::ALL.iter().find(|mutant| mutant.name() == name);
        Some(*known.unwrap_or_else(|| panic!("SPIKE_TEST_MUTANT: no planted bug is called {name:?}")))
    });
    *CHOSEN == Some(mutant)
}

/// Never, in a build without the feature.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn on(_mutant: Mutant) -> bool {
    false
}

/// A text with a planted bug, if one of these is in this process: its line is replaced.
///
/// # Panics
/// When the line is not there any more.
pub fn replaced(text: &str, bugs: &[(Mutant, &str, &str)]) -> String {
    let mut text = text.to_owned();
    for &(mutant, line, bug) in bugs.iter().filter(|(mutant, ..)| on(*mutant)) {
        assert!(text.contains(line), "{}: the line {line:?} is not there", mutant.name());
        text = text.replace(line, bug);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_nothing_is_planted() {
        if std::env::var_os("SPIKE_TEST_MUTANT").is_none() {
            assert!(Mutant::ALL.iter().all(|mutant| !on(*mutant)));
            assert_eq!(replaced("a", &[(Mutant::InsertEpoch, "not there", "")]), "a");
        }
    }
}
