//! The text of an outbox entry: one line an order, `order user quantity key`, the key empty when there is none.

use spike_domain::{OrderId, QueuedOrder, UserId};

/// The version the scripts write in field `v`.
pub const VERSION: &str = "1";

/// Parses field `o` of an entry whose field `t` is `accepted_at_ms`; `None` unless every line is an order.
pub fn parse_orders(text: &str, accepted_at_ms: u64) -> Option<Vec<QueuedOrder>> {
    text.split('\n').map(|line| parse_line(line, accepted_at_ms)).collect()
}

fn parse_line(line: &str, accepted_at_ms: u64) -> Option<QueuedOrder> {
    let mut words = line.split(' ');
    let (order, user, quantity, key) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let quantity: u32 = quantity.parse().ok()?;
    Some(QueuedOrder {
        order: OrderId::parse(order)?,
        user: UserId::parse(user)?,
        quantity: (quantity > 0).then_some(quantity)?,
        key: (!key.is_empty()).then(|| key.to_owned()),
        accepted_at_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_half_lines_are_refused() {
        let (a, b) = (OrderId::new(1), OrderId::new(2));
        let orders = parse_orders(&format!("{a} 7 1 \n{b} 8 3 9f"), 5).unwrap();
        assert_eq!((orders[0].order, orders[0].user.0, orders[0].quantity, &orders[0].key), (a, 7, 1, &None));
        assert_eq!((orders[1].order, orders[1].quantity, orders[1].key.as_deref()), (b, 3, Some("9f")));
        for bad in [
            String::new(),
            format!("{a} 7 1"),
            format!("{a} 7 0 "),
            format!("{a} 7 1 k x"),
            format!("{a} 0 1 "),
        ] {
            assert!(parse_orders(&bad, 5).is_none(), "{bad:?}");
        }
    }
}
