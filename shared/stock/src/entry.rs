//! The text of an outbox entry: one line an order, `order user quantity key`, the key empty when there is none. Where some
//! of its orders are traced a further field has a line for each of them, `order traceparent`.

use spike_domain::{OrderId, OrderTrace, QueuedOrder, TraceContext, UserId};

/// The version the scripts write in field `v`.
pub const VERSION: &str = "1";

/// Parses field `o` of an entry whose field `t` is `accepted_at_ms`; `None` unless every line is an order.
pub fn parse_orders(text: &str, accepted_at_ms: u64) -> Option<Vec<QueuedOrder>> {
    text.split('\n').map(|line| parse_line(line, accepted_at_ms)).collect()
}

/// Longest line of a trace, with its end.
pub const TRACE_LINE_LEN: usize = OrderId::TEXT_LEN + TraceContext::TEXT_LEN + 2;

/// Appends the line of one trace.
pub fn put_trace(lines: &mut String, trace: &OrderTrace) {
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines.push_str(trace.order.text(&mut [0; OrderId::TEXT_LEN]));
    lines.push(' ');
    lines.push_str(trace.context.text(&mut [0; TraceContext::TEXT_LEN]));
}

/// Reads field `c`: the traces of `orders`. What is no trace, or of an order that was not accepted, is passed over: a trace
/// never keeps an order from its row.
pub fn parse_traces(text: &str, orders: &[QueuedOrder]) -> Vec<OrderTrace> {
    let line = |line: &str| {
        let (order, context) = line.split_once(' ')?;
        let (order, context) = (OrderId::parse(order)?, TraceContext::parse(context.as_bytes())?);
        orders.iter().any(|queued| queued.order == order).then_some(OrderTrace { order, context })
    };
    text.split('\n').filter_map(line).collect()
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
    fn traces_of_accepted_orders_read_back() {
        let (a, b) = (OrderId::new(1), OrderId::new(2));
        let orders = parse_orders(&format!("{a} 7 1 \n{b} 8 3 9f"), 5).unwrap();
        let trace = |order, span_id| OrderTrace {
            order,
            context: TraceContext { trace_id: 9, span_id, sampled: true },
        };
        let (of_a, of_b, refused) = (trace(a, 1), trace(b, 2), trace(OrderId::new(3), 3));
        let mut lines = String::new();
        [of_a, refused, of_b].iter().for_each(|trace| put_trace(&mut lines, trace));
        assert_eq!(parse_traces(&lines, &orders), [of_a, of_b]);
        assert_eq!(parse_traces(&format!("{a} nonsense\n\n{lines}"), &orders), [of_a, of_b]);
        assert_eq!(parse_traces("", &orders), []);
    }

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
