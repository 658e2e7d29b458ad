//! The sales that are explored: small ones with every test run, larger ones by `make model`, and for each condition the
//! smallest one that shows why it is there.

use crate::conditions::Condition;
use crate::instance::{Fault, Faults, Instance, Paying, Press};

/// What the others differ from: two users, one unit, one fault.
const BASE: Instance = Instance {
    name: "base",
    stock: 1,
    user_limit: 1,
    presses: &[Press::keyed(0, 1), Press::keyed(1, 1)],
    orders_a_press: 1,
    batch: false,
    join: false,
    workers: 1,
    restocks: 1,
    rebuilds: 1,
    faults_max: 1,
    faults: Faults::COMMON,
    epoch_max: 3,
    moves_max: 0,
    paying: Paying::Never,
    cancels: true,
    neighbour: false,
    versions: false,
    states_max: 30_000_000,
};

/// Explored by the tests of this crate.
pub const SMALL: &[Instance] = &[
    BASE,
    Instance {
        name: "one-user",
        presses: &[Press::keyed(0, 1), Press::keyed(0, 1)],
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance { name: "late", presses: &[Press::keyed(0, 1), Press::keyed(1, 1)], workers: 2, ..BASE },
    Instance {
        name: "rebuy",
        presses: &[Press::keyed(0, 1), Press::keyed(1, 1), Press::keyed(0, 1)],
        ..BASE
    },
    Instance {
        name: "repeat",
        presses: &[Press::keyed(0, 1), Press::keyed(1, 1)],
        orders_a_press: 2,
        ..BASE
    },
    Instance {
        name: "units",
        stock: 4,
        user_limit: 3,
        presses: &[Press::keyed(0, 3), Press::keyed(1, 2), Press::keyed(2, 1)],
        ..BASE
    },
    Instance { name: "over-limit", stock: 2, presses: &[Press::keyed(0, 2), Press::keyed(1, 1)], ..BASE },
    Instance {
        name: "batch",
        stock: 2,
        user_limit: 2,
        presses: &[Press::keyed(0, 2), Press::keyed(1, 1)],
        batch: true,
        orders_a_press: 2,
        ..BASE
    },
    Instance { name: "joined", stock: 2, join: true, faults_max: 1, ..BASE },
    Instance { name: "keyless", presses: &[Press::keyless(0, 1)], orders_a_press: 1, workers: 2, ..BASE },
    Instance { name: "closing", moves_max: 2, ..BASE },
    Instance {
        name: "neighbour",
        neighbour: true,
        faults: Faults::of(&[Fault::RedisTail, Fault::RedisRestart]),
        ..BASE
    },
    Instance {
        name: "versions",
        versions: true,
        faults: Faults::of(&[
            Fault::RedisTail,
            Fault::RedisRestart,
            Fault::RedisFlushed,
            Fault::RebuildCrash,
            Fault::ForcedRebuild,
        ]),
        ..BASE
    },
    Instance {
        name: "tail",
        faults: Faults::of(&[Fault::RedisTail, Fault::Repeat, Fault::ForcedRebuild]),
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance { name: "restored", faults: Faults::of(&[Fault::DatabaseRestored]), ..BASE },
    Instance {
        name: "reused-epoch",
        presses: &[Press::keyed(0, 1), Press::keyed(1, 1)],
        cancels: false,
        faults: Faults::of(&[Fault::DatabaseRestored, Fault::RedisEmpty, Fault::ForcedRebuild]),
        faults_max: 3,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "key-again",
        presses: &[Press::keyed(0, 1)],
        orders_a_press: 2,
        faults: Faults::of(&[Fault::RedisEmpty, Fault::Repeat, Fault::RedisRestart]),
        faults_max: 4,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "poison",
        stock: 2,
        batch: true,
        presses: &[Press::keyed(0, 1), Press::keyed(1, 1).poisonous()],
        ..BASE
    },
    Instance { name: "paying", presses: &[Press::keyed(0, 1)], paying: Paying::Provider, ..BASE },
    Instance {
        name: "two-rebuilds",
        presses: &[Press::keyed(0, 1)],
        rebuilds: 2,
        faults: Faults::of(&[
            Fault::RedisRestart,
            Fault::RedisEmpty,
            Fault::RedisFlushed,
            Fault::RebuildCrash,
            Fault::ForcedRebuild,
        ]),
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "two-restocks",
        restocks: 2,
        presses: &[Press::keyed(0, 1), Press::keyed(0, 1)],
        ..BASE
    },
];

/// Explored by `make model`.
pub const LARGE: &[Instance] = &[
    Instance { name: "two-workers", workers: 2, restocks: 2, faults_max: 2, epoch_max: 4, ..BASE },
    Instance { name: "rebuy-late", presses: REBUY, workers: 2, ..BASE },
    Instance { name: "rebuy-two-faults", presses: REBUY, faults_max: 2, epoch_max: 4, ..BASE },
    Instance {
        name: "repeated",
        orders_a_press: 2,
        faults: Faults::of(&[Fault::Repeat, Fault::RedisEmpty, Fault::RedisRestart, Fault::BrokerWiped]),
        faults_max: 3,
        epoch_max: 4,
        ..BASE
    },
    Instance { name: "three-faults", presses: ONE_REBUY, faults_max: 3, epoch_max: 5, ..BASE },
    Instance {
        name: "units-late",
        stock: 4,
        user_limit: 3,
        presses: UNITS,
        workers: 2,
        cancels: false,
        ..BASE
    },
    Instance {
        name: "units-batch",
        stock: 4,
        user_limit: 3,
        presses: UNITS,
        batch: true,
        join: true,
        ..BASE
    },
    Instance { name: "joined-late", stock: 2, join: true, workers: 2, ..BASE },
    Instance {
        name: "joined-two-faults",
        stock: 4,
        user_limit: 2,
        presses: &[Press::keyed(0, 2), Press::keyed(1, 2)],
        join: true,
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "keyless-rebuy",
        presses: &[Press::keyless(0, 1)],
        orders_a_press: 2,
        workers: 2,
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "keyless-mixed",
        presses: &[Press::keyless(0, 1), Press::keyed(1, 1), Press::keyless(0, 1)],
        workers: 2,
        ..BASE
    },
    Instance { name: "closing-two-faults", moves_max: 2, faults_max: 2, epoch_max: 4, ..BASE },
    Instance {
        name: "neighbour-adopt",
        neighbour: true,
        workers: 2,
        faults: Faults::of(&[Fault::RedisTail, Fault::RedisRestart]),
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "versions-two-faults",
        versions: true,
        rebuilds: 2,
        cancels: false,
        faults: Faults::of(&[
            Fault::RedisTail,
            Fault::RedisRestart,
            Fault::RedisFlushed,
            Fault::RebuildCrash,
            Fault::ForcedRebuild,
        ]),
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "tail-repeated",
        orders_a_press: 2,
        faults: Faults::of(&[Fault::RedisTail, Fault::Repeat, Fault::ForcedRebuild, Fault::BrokerWiped]),
        faults_max: 3,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "restored-rebuy",
        presses: ONE_REBUY,
        faults: Faults::of(&[Fault::DatabaseRestored, Fault::RedisEmpty, Fault::ForcedRebuild]),
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "restored-two",
        workers: 2,
        faults: Faults::of(&[Fault::DatabaseRestored, Fault::RedisEmpty]),
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "poison-joined",
        stock: 2,
        batch: true,
        join: true,
        presses: POISON,
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance { name: "poison-late", stock: 2, batch: true, workers: 2, presses: POISON, ..BASE },
    Instance {
        name: "paying-rebuy",
        presses: ONE_REBUY,
        paying: Paying::Provider,
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "rebuilds",
        rebuilds: 2,
        faults: Faults::of(&[
            Fault::RedisRestart,
            Fault::RedisEmpty,
            Fault::RedisFlushed,
            Fault::RebuildCrash,
            Fault::ForcedRebuild,
        ]),
        faults_max: 2,
        epoch_max: 4,
        ..BASE
    },
    Instance {
        name: "three-users",
        stock: 2,
        presses: &[Press::keyed(0, 1), Press::keyed(1, 1), Press::keyed(2, 1)],
        workers: 2,
        ..BASE
    },
];

const ONE_REBUY: &[Press] = &[Press::keyed(0, 1), Press::keyed(0, 1)];
const REBUY: &[Press] = &[Press::keyed(0, 1), Press::keyed(1, 1), Press::keyed(0, 1)];
const UNITS: &[Press] = &[Press::keyed(0, 3), Press::keyed(1, 2), Press::keyed(2, 1)];
const POISON: &[Press] = &[Press::keyed(0, 1), Press::keyed(1, 1).poisonous()];

/// The instance of that name.
pub fn find(name: &str) -> Option<&'static Instance> {
    SMALL.iter().chain(LARGE).find(|instance| instance.name == name)
}

/// The smallest instance that shows why a condition is there.
pub fn shows(condition: Condition) -> &'static Instance {
    use Condition as C;
    let name = match condition {
        C::BatchSum => "batch",
        C::UserLimit | C::ChecksFirst => "over-limit",
        C::Units => "units",
        C::CountOrders | C::PoisonRow | C::WholeEntries => "poison",
        C::Standing | C::ClosedIsFinal | C::ReturnAtRest => "closing",
        C::FencePerEvent => "neighbour",
        C::JoinMark | C::JoinConnection => "versions",
        C::KeylessRemembered => "keyless",
        C::RefusalRemembered => "late",
        C::SnapshotEpoch => "two-rebuilds",
        C::AdoptEntry | C::VerdictEpoch => "one-user",
        C::OneConnection | C::ReserveFence => "tail",
        C::SettleEpoch | C::DoneEpoch | C::DoomedUncounted | C::LostRows | C::TotalGuard => "restored",
        C::ConflictIsNoReplay => "restored-rebuy",
        C::EpochAboveAll => "reused-epoch",
        C::SoldKeysFirst => "key-again",
        C::ConditionalPay | C::LateRefund => "paying",
        C::InsertEpoch
        | C::CloseMarkers
        | C::ReleaseFence
        | C::KeysStay
        | C::SettleSweep
        | C::SettleWaits
        | C::Begin
        | C::SettleByDelete
        | C::EntryIds
        | C::Republish
        | C::NoTrim
        | C::OwnClaim => "base",
    };
    find(name).expect("the name is one of the lists above")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ENTRIES, PRESSES, SLOTS, USERS};

    #[test]
    fn instances_fit_into_a_state_and_have_names_of_their_own() {
        let all: Vec<&Instance> = SMALL.iter().chain(LARGE).collect();
        for (at, instance) in all.iter().enumerate() {
            let (name, presses) = (instance.name, instance.presses.len());
            assert!(all[..at].iter().all(|other| other.name != name), "{name} is there twice");
            assert!(instance.presses.iter().all(|press| usize::from(press.user) < USERS), "{name}");
            assert!(presses <= PRESSES && presses * usize::from(instance.orders_a_press) <= 8, "{name}");
            assert!(instance.workers.max(instance.restocks).max(instance.rebuilds) <= SLOTS, "{name}");
            assert!(presses <= ENTRIES, "{name}");
        }
    }
}
