//! The life of a spike order.

use serde::{Deserialize, Serialize};

/// The status of an order's row in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Written, unpaid, within its deadline.
    Pending,
    /// Paid. Final.
    Paid,
    /// Cancelled by its user or by its deadline. Final.
    Cancelled,
    /// Accepted once, but another order had taken its place. Final; holds no stock.
    Rejected,
    /// Known to Redis when its data was lost, in no entry and no row. Final; holds no stock.
    Lost,
}

impl OrderStatus {
    /// Every status, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Paid, Self::Cancelled, Self::Rejected, Self::Lost];

    /// The number kept in the database.
    pub fn code(self) -> i8 {
        match self {
            Self::Pending => 1,
            Self::Paid => 2,
            Self::Cancelled => 3,
            Self::Rejected => 4,
            Self::Lost => 5,
        }
    }

    /// The status of a database number.
    pub fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// The word clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Lost => "lost",
        }
    }

    /// Whether the order holds stock and its user's claim.
    pub fn live(self) -> bool {
        matches!(self, Self::Pending | Self::Paid)
    }

    /// Whether the life of an order may go from `self` to `next`.
    pub fn may_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Pending, Self::Paid | Self::Cancelled))
    }
}

/// The state kept beside a buyer's claim in Redis, and in the `ended` hash for the user's last dead order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimState {
    /// Accepted, not yet known to be in the database.
    Queued,
    /// As the row of that name.
    Pending,
    /// As the row of that name.
    Paid,
    /// As the row of that name.
    Cancelled,
    /// As the row of that name.
    Rejected,
    /// As the row of that name.
    Lost,
}

impl ClaimState {
    /// The letter used in Redis.
    pub fn letter(self) -> u8 {
        match self {
            Self::Queued => b'q',
            Self::Pending => b'p',
            Self::Paid => b'd',
            Self::Cancelled => b'c',
            Self::Rejected => b'r',
            Self::Lost => b'l',
        }
    }

    /// The state of a letter from Redis.
    pub fn from_letter(letter: u8) -> Option<Self> {
        [Self::Queued, Self::Pending, Self::Paid, Self::Cancelled, Self::Rejected, Self::Lost]
            .into_iter()
            .find(|state| state.letter() == letter)
    }

    /// The word clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Lost => "lost",
        }
    }
}

impl From<OrderStatus> for ClaimState {
    fn from(status: OrderStatus) -> Self {
        match status {
            OrderStatus::Pending => Self::Pending,
            OrderStatus::Paid => Self::Paid,
            OrderStatus::Cancelled => Self::Cancelled,
            OrderStatus::Rejected => Self::Rejected,
            OrderStatus::Lost => Self::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_letters_read_back() {
        for status in OrderStatus::ALL {
            assert_eq!(OrderStatus::from_code(status.code()), Some(status));
            assert_eq!(ClaimState::from_letter(ClaimState::from(status).letter()), Some(status.into()));
            assert_eq!(ClaimState::from(status).as_str(), status.as_str());
        }
        assert_eq!(OrderStatus::from_code(0), None);
    }

    #[test]
    fn only_a_pending_order_changes_and_live_ones_hold_stock() {
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                let want =
                    from == OrderStatus::Pending && matches!(to, OrderStatus::Paid | OrderStatus::Cancelled);
                assert_eq!(from.may_become(to), want, "{from:?} -> {to:?}");
            }
        }
        assert_eq!(OrderStatus::ALL.map(OrderStatus::live), [true, true, false, false, false]);
    }
}
