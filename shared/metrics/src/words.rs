//! The closed sets of words that labels may say.

use crate::{Label, Values};

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident($label:literal) { $($variant:ident $word:literal)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = $word] $variant,)+
        }

        impl $name {
            /// Every one, in the order of the exposition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Their words.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
            /// The label.
            pub const LABEL: Label = Label { name: $label, values: Values::Closed(Self::WORDS) };

            /// The word of this one.
            pub const fn word(self) -> &'static str {
                Self::WORDS[self as usize]
            }

            /// The one of a word.
            pub fn of(word: &str) -> Option<Self> {
                Some(Self::ALL[Self::WORDS.iter().position(|one| *one == word)?])
            }
        }
    )+};
}

words! {
    /// Where a request went. What only the control API knows is one of them; see `spike_gateway_control_requests_total`.
    HotRoute("route") { Buy "buy" Page "page" Mine "mine" Status "status" Stream "stream" Control "control" }

    /// How a request ended.
    Outcome("outcome") {
        Ok "ok"
        Accepted "accepted"
        Replayed "replayed"
        NotModified "not_modified"
        SoldOut "sold_out"
        AlreadyBought "already_bought"
        OutsideWindow "outside_window"
        Conflict "conflict"
        Limited "limited"
        Unauthorized "unauthorized"
        Forbidden "forbidden"
        NotFound "not_found"
        Invalid "invalid"
        Paused "paused"
        Recovering "recovering"
        Overloaded "overloaded"
        Unavailable "unavailable"
        OutcomeUnknown "outcome_unknown"
        Internal "internal"
        Aborted "aborted"
    }

    /// A step of a buy.
    Stage("stage") { Flag "flag" Auth "auth" Bucket "bucket" Body "body" Reserve "reserve" }

    /// What a hot core asks the ledger.
    LedgerCall("call") { Reserve "reserve" Look "look" }

    /// A dimension of the rate limits, as `RateLimit-Policy` names it.
    Dimension("dimension") { Address "address" Press "press" User "user" All "all" Event "event" }

    /// The hundreds of an HTTP status.
    StatusClass("code") { Informational "1xx" Success "2xx" Redirection "3xx" ClientError "4xx" ServerError "5xx" }

    /// What an event is at, as a gateway sees it.
    EventState("state") { Waiting "waiting" Selling "selling" Fenced "fenced" Paused "paused" Over "over" }

    /// A queue that is read.
    QueueName("queue") { Orders "spike.orders" Parked "spike.parked" Cancel "spike.cancel" }

    /// What a call of the database is about.
    Statements("group") {
        Accounts "accounts"
        Catalogue "catalogue"
        Events "events"
        SpikeOrders "spike_orders"
        ShopOrders "shop_orders"
        Payments "payments"
        Rebuild "rebuild"
        Restock "restock"
        Settings "settings"
        Upkeep "upkeep"
        Health "health"
    }

    /// Why a call of the database failed.
    DatabaseError("cause") { Unavailable "unavailable" LockConflict "lock_conflict" Other "other" }

    /// Connections of a pool.
    PoolUse("use") { Idle "idle" InUse "in_use" }

    /// A kind of Redis command, off the hot cores.
    RedisCommand("command") { Script "script" Stream "stream" Read "read" Write "write" Pipeline "pipeline" }

    /// What became of a message that a worker had in hand.
    MessageEnd("outcome") {
        Written "written"
        PutOff "put_off"
        Retried "retried"
        Parked "parked"
        Requeued "requeued"
    }

    /// The status of an order's row.
    RowStatus("status") { Pending "pending" Paid "paid" Cancelled "cancelled" Rejected "rejected" Lost "lost" }

    /// A kind of order.
    OrderKind("kind") { Spike "spike" Shop "shop" }

    /// Who noticed that an order's time to pay was over.
    CancelledBy("by") { Sweep "sweep" Queue "queue" }

    /// Who settled an entry.
    SettledBy("by") { Consumer "consumer" Sweep "sweep" }

    /// How an attempt ended.
    Attempt("outcome") { Done "done" Failed "failed" }

    /// A job of the worker whose errors are counted.
    Job("task") {
        Consume "consume"
        Parking "parking"
        SettleSweep "settle_sweep"
        Restock "restock"
        Deadlines "deadlines"
        CancelQueue "cancel_queue"
        Expire "expire"
        ExpireShop "expire_shop"
        Units "units"
        Purge "purge"
        Payments "payments"
        PaidOrders "paid_orders"
        Refunds "refunds"
        IdempotencyKeys "idempotency_keys"
        Archive "archive"
        Reconcile "reconcile"
        Watch "watch"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_again() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::of(outcome.word()), Some(*outcome));
        }
        assert_eq!(Outcome::of("splendid"), None);
        assert_eq!((Dimension::All.word(), Dimension::COUNT), ("all", 5));
    }
}
