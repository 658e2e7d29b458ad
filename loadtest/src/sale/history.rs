//! What the buyers were told, kept so that an auditor can hold the database against it.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use spike_domain::{OrderId, UserId};

use super::Buyer;
use super::answer::Answer;
use crate::progress::Kind;

/// A press whose effect nobody told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Who pressed.
    pub user: UserId,
    /// The order, where the answer named it (503 `outcome-unknown`).
    pub order: Option<OrderId>,
}

/// Everything buyers were told of orders. It takes a user's second order for an error, so it fits sales in which
/// nothing is cancelled while they run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Each user's first 202.
    pub acknowledged: Vec<(UserId, OrderId)>,
    /// Orders named to users (202 or `already-bought`) who had been told of another.
    pub doubled: Vec<(UserId, OrderId)>,
    /// Orders that only an `already-bought` named.
    pub named: Vec<(UserId, OrderId)>,
    /// Presses without a known effect.
    pub unknown: Vec<Unknown>,
}

/// Each buyer's acknowledged order, shared by the connections.
#[derive(Debug)]
pub(crate) struct Acknowledged(Vec<OnceLock<OrderId>>);

impl Acknowledged {
    pub(crate) fn new(buyers: usize) -> Self {
        Self((0..buyers).map(|_| OnceLock::new()).collect())
    }
}

/// What one connection noted beyond the first acknowledgements.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    doubled: Vec<(u32, OrderId)>,
    named: Vec<(u32, OrderId)>,
    unknown: Vec<(u32, Option<OrderId>)>,
}

impl Notes {
    /// Notes an answer to `buyer` and says how it counts.
    ///
    /// Whether a 202 is the first of its order is decided by what this side has seen, not by `Idempotent-Replayed`:
    /// after a lost answer the replay is the first that arrived.
    pub(crate) fn take(
        &mut self,
        acknowledged: &Acknowledged,
        buyer: u32,
        answer: Answer,
    ) -> (Kind, &'static str) {
        let known = &acknowledged.0[buyer as usize];
        match answer {
            Answer::Acknowledged { order } => {
                if known.set(order).is_ok() {
                    return (Kind::Accepted, "accepted");
                }
                if known.get() == Some(&order) {
                    return (Kind::Duplicate, "replayed");
                }
                self.doubled.push((buyer, order));
                // It is the first 202 of that order, and an order too many.
                (Kind::Accepted, "accepted")
            }
            Answer::SoldOut(reason) => (Kind::SoldOut, reason.as_str()),
            Answer::AlreadyBought(order) => {
                // Whether another order was acknowledged is asked at the end: its 202 may still be under way.
                self.named.extend(order.map(|order| (buyer, order)));
                (Kind::Duplicate, "already-bought")
            }
            Answer::Refused(word) => (Kind::Rejected, word),
            Answer::Failed(word) => (Kind::Error, word),
            Answer::Unknown(word, order) => {
                self.unknown.push((buyer, order));
                (Kind::Error, word)
            }
        }
    }
}

impl History {
    /// Joins what the connections noted, when all of them are done.
    pub(crate) fn join(buyers: &[Buyer], acknowledged: &Acknowledged, notes: Vec<Notes>) -> Self {
        let user = |buyer: u32| buyers[buyer as usize].user;
        let mut history = Self::default();
        for (buyer, known) in buyers.iter().zip(&acknowledged.0) {
            history.acknowledged.extend(known.get().map(|order| (buyer.user, *order)));
        }
        for notes in notes {
            history.doubled.extend(notes.doubled.iter().map(|&(buyer, order)| (user(buyer), order)));
            for (buyer, order) in notes.named {
                match acknowledged.0[buyer as usize].get() {
                    Some(known) if *known == order => {}
                    Some(_) => history.doubled.push((user(buyer), order)),
                    None => history.named.push((user(buyer), order)),
                }
            }
            history
                .unknown
                .extend(notes.unknown.iter().map(|&(buyer, order)| Unknown { user: user(buyer), order }));
        }
        for list in [&mut history.doubled, &mut history.named] {
            list.sort_unstable();
            list.dedup();
        }
        history
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn answers_are_counted_by_what_this_side_has_seen() {
        let [a, b] = [OrderId::new(1), OrderId::new(2)];
        let buyers = [10, 20, 30].map(|user| Buyer {
            user: UserId(user),
            token: String::new(),
            source: Ipv4Addr::UNSPECIFIED,
        });
        let acknowledged = Acknowledged::new(3);
        let mut notes = Notes::default();
        let mut check = |buyer, answer, want| {
            assert_eq!(notes.take(&acknowledged, buyer, answer), want, "{answer:?}");
        };
        check(0, Answer::AlreadyBought(Some(a)), (Kind::Duplicate, "already-bought"));
        check(0, Answer::Acknowledged { order: a }, (Kind::Accepted, "accepted"));
        check(0, Answer::Acknowledged { order: a }, (Kind::Duplicate, "replayed"));
        check(1, Answer::Acknowledged { order: b }, (Kind::Accepted, "accepted"));
        check(1, Answer::Acknowledged { order: a }, (Kind::Accepted, "accepted"));
        check(1, Answer::AlreadyBought(Some(a)), (Kind::Duplicate, "already-bought"));
        check(2, Answer::AlreadyBought(Some(b)), (Kind::Duplicate, "already-bought"));
        check(2, Answer::Unknown("timeout", None), (Kind::Error, "timeout"));
        check(2, Answer::Failed("connect"), (Kind::Error, "connect"));
        check(2, Answer::Refused("ended"), (Kind::Rejected, "ended"));
        let history = History::join(&buyers, &acknowledged, vec![notes]);
        let want = History {
            acknowledged: vec![(UserId(10), a), (UserId(20), b)],
            doubled: vec![(UserId(20), a)],
            named: vec![(UserId(30), b)],
            unknown: vec![Unknown { user: UserId(30), order: None }],
        };
        assert_eq!(history, want);
    }
}
