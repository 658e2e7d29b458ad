//! A claim as it stands in `buyers`: order (36 characters), state letter, quantity in decimal.

use spike_domain::{ClaimState, OrderId};

/// A user's present claim, or what an idempotency key remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The order.
    pub order: OrderId,
    /// Its state; `None` when a key remembers an order that is not the user's claim any more.
    pub state: Option<ClaimState>,
    /// Units. 0 for an ended order, whose units are not kept.
    pub quantity: u32,
}

impl Claim {
    /// Parses `<order><letter or '-'><quantity>`; `None` if the bytes are anything else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (order, rest) = bytes.split_at_checked(OrderId::TEXT_LEN)?;
        let (&letter, quantity) = rest.split_first()?;
        let state = if letter == b'-' { None } else { Some(ClaimState::from_letter(letter)?) };
        Some(Self { order: order_id(order)?, state, quantity: number(quantity)? })
    }

    /// Parses what `ended` keeps: `<order><letter>`.
    pub fn parse_ended(bytes: &[u8]) -> Option<Self> {
        let (order, letter) = bytes.split_at_checked(OrderId::TEXT_LEN)?;
        let &[letter] = letter else { return None };
        Some(Self { order: order_id(order)?, state: Some(ClaimState::from_letter(letter)?), quantity: 0 })
    }

    /// Parses what `keys` keeps: `<order><quantity>`.
    pub fn parse_key(bytes: &[u8]) -> Option<Self> {
        let (order, quantity) = bytes.split_at_checked(OrderId::TEXT_LEN)?;
        Some(Self { order: order_id(order)?, state: None, quantity: number(quantity)? })
    }
}

/// The value of a claim in `buyers`.
pub fn buyer_value(order: OrderId, state: ClaimState, quantity: u32) -> String {
    format!("{order}{}{quantity}", char::from(state.letter()))
}

/// The value of a key in `keys`.
pub fn key_value(order: OrderId, quantity: u32) -> String {
    format!("{order}{quantity}")
}

fn order_id(bytes: &[u8]) -> Option<OrderId> {
    OrderId::parse(std::str::from_utf8(bytes).ok()?)
}

fn number(bytes: &[u8]) -> Option<u32> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_read_back_and_anything_else_is_refused() {
        let order = OrderId::new(1_763_800_000_000);
        let claim = Claim { order, state: Some(ClaimState::Pending), quantity: 12 };
        assert_eq!(Claim::parse(buyer_value(order, ClaimState::Pending, 12).as_bytes()), Some(claim));
        assert_eq!(
            Claim::parse(format!("{order}-3").as_bytes()),
            Some(Claim { order, state: None, quantity: 3 })
        );
        assert_eq!(Claim::parse_key(key_value(order, 4).as_bytes()).unwrap().quantity, 4);
        assert_eq!(
            Claim::parse_ended(format!("{order}c").as_bytes()).unwrap().state,
            Some(ClaimState::Cancelled)
        );
        for bad in [
            String::new(),
            order.to_string(),
            format!("{order}p"),
            format!("{order}x1"),
            format!("{order}p-1"),
        ] {
            assert_eq!(Claim::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
