//! The conditions of the protocol, by name. Each can be switched off, and then some instance must show why it is there.

use std::fmt;

macro_rules! conditions {
    ($($(#[doc = $what:literal])+ $variant:ident, $name:literal, $number:literal, $at:literal;)+) => {
        /// A condition that the code keeps.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Condition { $($(#[doc = $what])+ $variant),+ }

        impl Condition {
            /// Every condition.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// What it is called on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Its number in the protocol, or the decision page it comes from; empty for the rest.
            pub fn number(self) -> &'static str {
                match self { $(Self::$variant => $number),+ }
            }

            /// Where the code keeps it: file and function, from the root of the project.
            pub fn at(self) -> &'static str {
                match self { $(Self::$variant => $at),+ }
            }

            /// What it demands.
            pub fn what(self) -> &'static str {
                match self { $(Self::$variant => concat!($($what),+).trim_ascii()),+ }
            }
        }
    };
}

conditions! {
    /// Rows are inserted only for entries of the event's epoch, compared under the lock that inserts them.
    InsertEpoch, "insert-epoch", "V1", "shared/store/src/insert.rs insert_entries";
    /// A rebuild counts the orders of the outbox that have no row, not the entries they came in.
    CountOrders, "count-orders", "V2", "worker/src/rebuild/plan.rs plan_ledger";
    /// A rebuild closes restock markers in the transaction that reads the rows.
    CloseMarkers, "close-markers", "V3", "shared/store/src/rebuild.rs rebuild_snapshot, close_markers";
    /// A release demands a standing ledger of the epoch read with the marker; a refusal is no success.
    ReleaseFence, "release-fence", "V4", "lua/release.lua, worker/src/restock.rs release";
    /// A key outlives its order: release leaves it, and a rebuild writes the keys of dead rows too.
    KeysStay, "keys-stay", "V5", "lua/release.lua, worker/src/rebuild/plan.rs plan_ledger";
    /// The transaction that reads the rows for a rebuild demands the rebuild's epoch.
    SnapshotEpoch, "snapshot-epoch", "V6", "shared/store/src/rebuild.rs rebuild_snapshot";
    /// A rebuild speaks to Redis on one connection that never reconnects.
    OneConnection, "one-connection", "V7", "shared/stock/src/stock.rs for_rebuild, worker/src/rebuild/mod.rs rebuild";
    /// What adopt counts anew gets an outbox entry of its own.
    AdoptEntry, "adopt-entry", "V8", "lua/adopt.lua";
    /// What adopt refuses is remembered under its key, so that no later adopt counts it.
    RefusalRemembered, "refusal-remembered", "V9", "lua/adopt.lua";
    /// A sweep settles entries whose orders all have rows.
    SettleSweep, "settle-sweep", "V10", "worker/src/settle_sweep.rs sweep";
    /// An order that no INSERT takes gets a REJECTED row and a marker.
    PoisonRow, "poison-row", "V11", "worker/src/consume/write.rs reject_poison, shared/store/src/poison.rs insert_poison";
    /// A new epoch is above every one ever used, not only above the database's.
    EpochAboveAll, "epoch-above-all", "V12", "shared/store/src/rebuild.rs bump_epoch";
    /// Paused and closed ledgers settle, release and adopt.
    Standing, "standing", "ADR 1", "lua/settle.lua, lua/release.lua, lua/adopt.lua";
    /// Settle waits while a rebuild has the ledger.
    SettleWaits, "settle-waits", "ADR 1", "lua/settle.lua";
    /// Each event has scripts of its own, so that a rebuild opens the fence of its event only.
    FencePerEvent, "fence-per-event", "ADR 2", "shared/stock/src/scripts.rs fenced";
    /// A worker of another version adds its scripts only where the mark says that the ledger has been compared.
    JoinMark, "join-mark", "ADR 2", "shared/stock/src/fence.rs join_fence";
    /// It asks for the mark and loads its scripts on one connection that never reconnects.
    JoinConnection, "join-connection", "ADR 2", "shared/stock/src/stock/fence.rs join_fence, pinned";
    /// Orders without a key are remembered under their own id by adopt and rebuild.
    KeylessRemembered, "keyless-remembered", "ADR 3", "shared/domain/src/message.rs key_field, lua/adopt.lua";
    /// A closed ledger is not opened or paused by a watch that read the event before it was closed.
    ClosedIsFinal, "closed-is-final", "", "lua/transition.lua closed, shared/stock/src/embedded/book.rs transition";
    /// Units of a closed event go back to the inventory only when its ledger has nothing on its way.
    ReturnAtRest, "return-at-rest", "", "worker/src/units.rs nothing_on_its_way";
    /// A rebuild takes the ledger before it reads, and opens only what is still its own.
    Begin, "begin", "", "lua/begin.lua, lua/load.lua, lua/open.lua";
    /// Nobody but a rebuild loads reserve.
    ReserveFence, "reserve-fence", "", "shared/stock/src/ledger.rs call_fenced, shared/stock/src/fence.rs load_fenced";
    /// In flight falls only by entries that XDEL really deleted.
    SettleByDelete, "settle-by-delete", "", "lua/settle.lua";
    /// Settle demands the epoch in which the rows were seen.
    SettleEpoch, "settle-epoch", "", "lua/settle.lua, shared/store/src/presence.rs row_statuses";
    /// An entry settles only when each of its orders has a row.
    WholeEntries, "whole-entries", "", "worker/src/settle_sweep.rs settleable";
    /// Marking a marker as done demands the epoch of its release.
    DoneEpoch, "done-epoch", "", "shared/store/src/restock.rs markers_done";
    /// The transaction after adopt demands the epoch of the verdict.
    VerdictEpoch, "verdict-epoch", "", "shared/store/src/adopt.rs insert_adopted";
    /// A rebuild does not count an outbox order whose user holds a live order, or for which no stock is left.
    DoomedUncounted, "doomed-uncounted", "", "worker/src/rebuild/plan.rs plan_ledger";
    /// A rebuild writes LOST rows for what Redis knows with neither row nor entry.
    LostRows, "lost-rows", "", "shared/store/src/rebuild.rs write_lost";
    /// Of dead orders with the same key, a rebuild lets the one keep it that was sold and cancelled.
    SoldKeysFirst, "sold-keys-first", "", "worker/src/rebuild/plan.rs plan_ledger";
    /// Ids of entries carry the epoch and so never come again.
    EntryIds, "entry-ids", "", "lua/reserve.lua XADD, lua/adopt.lua XADD";
    /// Entries whose orders are missing in the database are published again.
    Republish, "republish", "", "gateway/src/relay/republish.rs search";
    /// The outbox is never trimmed.
    NoTrim, "no-trim", "", "lua/reserve.lua XADD";
    /// Release gives back only the order's own claim.
    OwnClaim, "own-claim", "", "lua/release.lua";
    /// Reserve counts what earlier buyers of the same call took.
    BatchSum, "batch-sum", "", "lua/reserve.lua units";
    /// Reserve takes nothing from whoever is refused.
    ChecksFirst, "checks-first", "", "lua/reserve.lua";
    /// Reserve keeps to the units one user may hold.
    UserLimit, "user-limit", "", "lua/reserve.lua";
    /// Figures are units, not orders.
    Units, "units", "", "worker/src/rebuild/plan.rs plan_ledger";
    /// A conflict over a user's live order is not taken for a replay: the order gets a REJECTED row.
    ConflictIsNoReplay, "conflict-is-no-replay", "", "shared/store/src/plan.rs plan";
    /// The event's counter never passes its total.
    TotalGuard, "total-guard", "", "shared/store/src/order_rows.rs insert_rows";
    /// A payment moves only an order that still is PENDING.
    ConditionalPay, "conditional-pay", "", "shared/store/src/order_life.rs pay, update_status";
    /// Money captured for a dead order becomes REFUND_DUE.
    LateRefund, "late-refund", "", "shared/store/src/payments.rs capture";
}

impl Condition {
    /// The condition of that name or number.
    pub fn find(word: &str) -> Option<Self> {
        let matches = |condition: &&Self| condition.name() == word || condition.number() == word;
        Self::ALL.iter().find(matches).copied()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which conditions hold in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules(u64);

impl Rules {
    /// All of them: the code as it is.
    pub const ALL: Self = Self(u64::MAX);

    /// All but `condition`.
    pub fn without(self, condition: Condition) -> Self {
        Self(self.0 & !(1 << condition as u8))
    }

    /// Whether `condition` holds.
    pub fn hold(self, condition: Condition) -> bool {
        self.0 >> condition as u8 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_number_of_the_protocol_is_there() {
        assert!(Condition::ALL.len() <= 64);
        let names: HashSet<_> = Condition::ALL.iter().map(|condition| condition.name()).collect();
        assert_eq!(names.len(), Condition::ALL.len());
        for number in 1..=12 {
            assert!(Condition::find(&format!("V{number}")).is_some(), "V{number}");
        }
        assert_eq!(Condition::find("begin"), Some(Condition::Begin));
        assert_eq!(Condition::find("V13"), None);
    }

    #[test]
    fn the_places_in_the_code_exist() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        for condition in Condition::ALL {
            let mut text = String::new();
            for word in condition.at().split([' ', ',']).filter(|word| !word.is_empty()) {
                if word.contains('/') {
                    let path = format!("{root}/{word}");
                    text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
                } else {
                    assert!(text.contains(word), "{condition}: no {word} in {}", condition.at());
                }
            }
        }
    }

    #[test]
    fn docs_name_every_condition_and_its_place() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/MODEL.md");
        let docs = std::fs::read_to_string(path).unwrap();
        for condition in Condition::ALL {
            let row = format!(
                "| `{condition}` | {} | {} | {} |",
                condition.number(),
                condition.what(),
                condition.at()
            );
            assert!(docs.contains(&row), "docs/MODEL.md lacks the row\n{row}");
        }
    }

    #[test]
    fn one_condition_is_switched_off_alone() {
        let rules = Rules::ALL.without(Condition::AdoptEntry);
        for &condition in Condition::ALL {
            assert_eq!(rules.hold(condition), condition != Condition::AdoptEntry, "{condition}");
        }
    }
}
