//! A spike event: what is sold, how much of it, when, and to whom how many.

use serde::{Deserialize, Serialize};

use crate::{EventId, Money, ProductId};

/// When buys are taken: from `starts_at_ms` (inclusive) to `ends_at_ms` (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First millisecond of the sale.
    pub starts_at_ms: u64,
    /// First millisecond after it.
    pub ends_at_ms: u64,
}

/// Where a moment lies in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The sale has not started.
    NotStarted,
    /// Buys are taken.
    Running,
    /// The sale is over.
    Ended,
}

impl Window {
    /// Where `now_ms` lies.
    pub fn phase(&self, now_ms: u64) -> Phase {
        if now_ms < self.starts_at_ms {
            Phase::NotStarted
        } else if now_ms < self.ends_at_ms {
            Phase::Running
        } else {
            Phase::Ended
        }
    }
}

/// What an operator wants an event to be: kept in the database, carried out by the worker's watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventState {
    /// Announced; its stock is not in Redis yet.
    Scheduled,
    /// Warmed up: its stock is in Redis and buys are taken inside the window.
    Open,
    /// Warmed up, buys refused for now.
    Paused,
    /// Over for good; releases still reach its ledger.
    Closed,
}

impl EventState {
    /// The number kept in the database.
    pub fn code(self) -> i8 {
        match self {
            Self::Scheduled => 1,
            Self::Open => 2,
            Self::Paused => 3,
            Self::Closed => 4,
        }
    }

    /// The state of a database number.
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Scheduled, Self::Open, Self::Paused, Self::Closed]
            .into_iter()
            .find(|state| state.code() == code)
    }

    /// The ledger state this wish leads to; `None` while the event has no ledger.
    pub fn ledger(self) -> Option<LedgerState> {
        match self {
            Self::Scheduled => None,
            Self::Open => Some(LedgerState::Open),
            Self::Paused => Some(LedgerState::Paused),
            Self::Closed => Some(LedgerState::Closed),
        }
    }
}

/// The state in an event's `meta`, as the scripts see it. All but `Recovering` are "standing": figures can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LedgerState {
    /// Selling.
    Open,
    /// Not selling; releases and settles go on.
    Paused,
    /// Being rebuilt from the database: nothing but the rebuild may write.
    Recovering,
    /// Not selling any more; releases and settles go on.
    Closed,
}

impl LedgerState {
    /// The word used in Redis.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Recovering => "recovering",
            Self::Closed => "closed",
        }
    }

    /// The state of a word from Redis.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::Paused, Self::Recovering, Self::Closed]
            .into_iter()
            .find(|state| state.as_str() == word)
    }

    /// Whether the ledger's figures can be trusted and released to.
    pub fn standing(self) -> bool {
        self != Self::Recovering
    }
}

/// What every part of the system needs to know of an event. Kept as JSON in `meta.doc`, so that a gateway can
/// start while the database is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDef {
    /// The event.
    pub id: EventId,
    /// What is sold.
    pub product_id: ProductId,
    /// The sale's title.
    pub name: String,
    /// Price of one unit.
    pub price: Money,
    /// Initial stock S, in units.
    pub total: u32,
    /// Most units one user may hold.
    pub per_user_limit: u32,
    /// Seconds an order may stay unpaid.
    pub pay_timeout_s: u32,
    /// When buys are taken.
    pub window: Window,
}

impl EventDef {
    /// Largest stock of one event.
    pub const TOTAL_MAX: u32 = 100_000_000;
    /// Largest per-user limit.
    pub const PER_USER_LIMIT_MAX: u32 = 1_000;
    /// Longest time to pay: one week.
    pub const PAY_TIMEOUT_S_MAX: u32 = 7 * 24 * 3600;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_includes_its_start_and_excludes_its_end() {
        let window = Window { starts_at_ms: 10, ends_at_ms: 20 };
        for (now, phase) in
            [(9, Phase::NotStarted), (10, Phase::Running), (19, Phase::Running), (20, Phase::Ended)]
        {
            assert_eq!(window.phase(now), phase, "{now}");
        }
    }

    #[test]
    fn states_read_back() {
        for state in [EventState::Scheduled, EventState::Open, EventState::Paused, EventState::Closed] {
            assert_eq!(EventState::from_code(state.code()), Some(state));
        }
        for state in [LedgerState::Open, LedgerState::Paused, LedgerState::Recovering, LedgerState::Closed] {
            assert_eq!(LedgerState::parse(state.as_str()), Some(state));
        }
        assert_eq!(EventState::from_code(0), None);
        assert_eq!(LedgerState::parse("OPEN"), None);
    }
}
