//! What one client asked and was told, with times.

use spike_domain::{ClaimState, OrderId, UserId};

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who asked.
    pub user: UserId,
    /// When the request went out, Unix milliseconds.
    pub sent_ms: u64,
    /// When its answer was there, or was given up.
    pub answered_ms: u64,
    /// What was asked and told.
    pub act: Act,
}

/// What was asked and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A press of buy, with its idempotency key.
    Buy(Option<u64>, Bought),
    /// A payment of an order.
    Pay(OrderId, Paid),
    /// A cancellation of an order.
    Cancel(OrderId, Ended),
    /// A look at an order, answered by the database.
    Look(OrderId, Seen),
}

/// What a buy was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bought {
    /// 202.
    Accepted(OrderId),
    /// The user has another order.
    Already(Option<OrderId>),
    /// Nothing is left.
    SoldOut,
    /// Refused for another reason; nothing was done.
    Refused,
    /// Nobody knows; the order where the answer named it.
    Unknown(Option<OrderId>),
}

/// What a payment was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paid {
    /// The order is paid.
    Done,
    /// The money was captured and comes back.
    RefundDue,
    /// Declined or refused; the order is not paid by this.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// What a cancellation was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The order is cancelled.
    Done,
    /// Not to be cancelled.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// What a look has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The order in this state.
    State(ClaimState),
    /// No such order.
    Missing,
    /// No answer.
    Unknown,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It had its effect.
    Ok,
    /// It had none.
    Fail,
    /// Nobody knows.
    Unknown,
}

impl Record {
    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        match &self.act {
            Act::Buy(_, Bought::Accepted(_))
            | Act::Pay(_, Paid::Done)
            | Act::Cancel(_, Ended::Done)
            | Act::Look(_, Seen::State(_)) => Outcome::Ok,
            Act::Buy(_, Bought::Unknown(_))
            | Act::Pay(_, Paid::Unknown)
            | Act::Cancel(_, Ended::Unknown)
            | Act::Look(_, Seen::Unknown) => Outcome::Unknown,
            Act::Buy(..) | Act::Pay(..) | Act::Cancel(..) | Act::Look(..) => Outcome::Fail,
        }
    }

    /// The order that this answer vouched for.
    pub fn accepted(&self) -> Option<OrderId> {
        match self.act {
            Act::Buy(_, Bought::Accepted(order)) => Some(order),
            _ => None,
        }
    }
}
