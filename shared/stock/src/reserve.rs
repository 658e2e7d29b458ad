//! A call of `reserve.lua`: its arguments as RESP bytes and its reply's meaning. Used by the hot cores; no IO here.

use spike_domain::{OrderId, OrderTrace, TraceContext, UserId};

use crate::{Claim, EventKeys, Refused, entry};

/// One buyer of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyer {
    /// Who presses.
    pub user: UserId,
    /// The id the order gets if it is accepted.
    pub order: OrderId,
    /// Units wanted, at least 1.
    pub quantity: u32,
    /// Hash of the client's idempotency key; `None` without one. Hexadecimal, so that it needs no escaping.
    pub key: Option<Box<str>>,
    /// The trace that the order goes on in, at the span of this call; `None` unless it is sampled.
    pub trace: Option<Box<TraceContext>>,
}

impl Buyer {
    /// The trace with its order, for the outbox.
    pub fn order_trace(&self) -> Option<OrderTrace> {
        self.trace.as_deref().map(|&context| OrderTrace { order: self.order, context })
    }
}

/// What the script decided for one buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Accepted: the order is in the outbox.
    Accepted,
    /// The idempotency key is known: this is its order, alive or dead.
    Known(Claim),
    /// The user holds a claim made by another press.
    AlreadyBought(Claim),
    /// More units than one user may hold.
    OverLimit,
    /// Fewer units left than asked.
    Short,
}

/// What the script decided for a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Version of the ledger at this moment: rises with every release.
    pub version: u64,
    /// Units left after this batch.
    pub stock: u64,
    /// One decision a buyer, in their order.
    pub decisions: Vec<Decision>,
}

/// Appends `EVALSHA sha 6 KEYS… epoch now buyers… [traces]` to `out` as RESP.
pub fn encode(out: &mut Vec<u8>, sha: &str, keys: &EventKeys, epoch: u64, now_ms: u64, buyers: &[Buyer]) {
    let mut number = itoa::Buffer::new();
    out.push(b'*');
    let traces = trace_lines(buyers);
    let words = 3 + 6 + 2 + 4 * buyers.len() + usize::from(traces.is_some());
    out.extend_from_slice(number.format(words).as_bytes());
    out.extend_from_slice(b"\r\n$7\r\nEVALSHA\r\n");
    bulk(out, sha.as_bytes());
    bulk(out, b"6");
    for key in keys.reserve() {
        bulk(out, key.as_bytes());
    }
    bulk(out, number.format(epoch).as_bytes());
    bulk(out, number.format(now_ms).as_bytes());
    let mut text = [0; OrderId::TEXT_LEN];
    for buyer in buyers {
        bulk(out, number.format(buyer.user.0).as_bytes());
        bulk(out, buyer.order.text(&mut text).as_bytes());
        bulk(out, number.format(buyer.quantity).as_bytes());
        bulk(out, buyer.key.as_deref().unwrap_or("").as_bytes());
    }
    if let Some(lines) = traces {
        bulk(out, lines.as_bytes());
    }
}

/// The script's last argument; `None`, and nothing allocated, when nobody's trace is sampled.
pub(crate) fn trace_lines(buyers: &[Buyer]) -> Option<String> {
    let traced = buyers.iter().filter(|buyer| buyer.trace.is_some()).count();
    (traced > 0).then(|| {
        let mut lines = String::with_capacity(traced * entry::TRACE_LINE_LEN);
        buyers.iter().filter_map(Buyer::order_trace).for_each(|trace| entry::put_trace(&mut lines, &trace));
        lines
    })
}

/// Appends one bulk string.
pub fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    out.extend_from_slice(itoa::Buffer::new().format(bytes.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Reads the reply's elements for `n` buyers. The outer `None` means: not a reply of this script.
pub fn decode<'a>(
    mut elements: impl ExactSizeIterator<Item = &'a [u8]>,
    n: usize,
) -> Option<Result<Decided, Refused>> {
    let count = elements.len();
    match elements.next()? {
        b"OK" if count == n + 3 => {
            let (version, stock) = (number(elements.next()?)?, number(elements.next()?)?);
            let decisions = elements.map(decision).collect::<Option<Vec<_>>>()?;
            Some(Ok(Decided { version, stock, decisions }))
        }
        b"NO" if count == 3 => {
            let why = elements.next()?;
            Refused::parse(why, elements.next()?).map(Err)
        }
        _ => None,
    }
}

fn decision(bytes: &[u8]) -> Option<Decision> {
    let (&kind, rest) = bytes.split_first()?;
    Some(match kind {
        b'A' if rest.is_empty() => Decision::Accepted,
        b'K' => Decision::Known(Claim::parse(rest)?),
        b'B' => Decision::AlreadyBought(Claim::parse(rest)?),
        b'L' if rest.is_empty() => Decision::OverLimit,
        b'S' if rest.is_empty() => Decision::Short,
        _ => return None,
    })
}

/// Plain digits only, so that a negative figure is "not a reply" and is never taken for stock.
fn number(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.starts_with('+'))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use spike_domain::{ClaimState, EventId};

    use super::*;

    fn read(elements: &[&[u8]], n: usize) -> Option<Result<Decided, Refused>> {
        decode(elements.iter().copied(), n)
    }

    #[test]
    fn replies_mean_what_the_script_says() {
        let order = OrderId::new(1);
        let (known, bought) = (format!("K{order}-2"), format!("B{order}p1"));
        let decided = read(&[b"OK", b"7", b"0", b"A", known.as_bytes(), bought.as_bytes(), b"L", b"S"], 5)
            .unwrap()
            .unwrap();
        let claim = |state, quantity| Claim { order, state, quantity };
        assert_eq!((decided.version, decided.stock), (7, 0));
        assert_eq!(
            decided.decisions,
            [
                Decision::Accepted,
                Decision::Known(claim(None, 2)),
                Decision::AlreadyBought(claim(Some(ClaimState::Pending), 1)),
                Decision::OverLimit,
                Decision::Short
            ]
        );
        assert_eq!(read(&[b"NO", b"stale", b"12"], 5), Some(Err(Refused::Stale { epoch: 12 })));
        assert_eq!(read(&[b"NO", b"not_ready", b"0"], 1), Some(Err(Refused::NotReady)));
    }

    #[test]
    fn a_reply_of_the_wrong_shape_is_no_decision() {
        let wrong: [&[&[u8]]; 9] = [
            &[],
            &[b"OK"],
            &[b"OK", b"1", b"5"],
            &[b"OK", b"1", b"5", b"A", b"A"],
            &[b"OK", b"1", b"-5", b"A"],
            &[b"OK", b"x", b"5", b"A"],
            &[b"OK", b"1", b"5", b"Z"],
            &[b"OK", b"1", b"5", b"Kshort"],
            &[b"NO", b"because", b"0"],
        ];
        for elements in wrong {
            assert_eq!(read(elements, 1), None, "{elements:?}");
        }
    }

    #[test]
    fn a_call_is_one_well_formed_command() {
        let keys = EventKeys::new(EventId(5));
        let order = OrderId::new(1);
        let mut buyers =
            [Buyer { user: UserId(42), order, quantity: 2, key: Some("ab".into()), trace: None }];
        let words = |buyers: &[Buyer]| -> Vec<String> {
            let mut out = Vec::new();
            encode(&mut out, "f".repeat(40).as_str(), &keys, 9, 10, buyers);
            redis::from_redis_value(redis::parse_redis_value(&out).unwrap()).unwrap()
        };
        let untraced = words(&buyers);
        let context = TraceContext { trace_id: 0x4bf9, span_id: 0xb7, sampled: true };
        buyers[0].trace = Some(Box::new(context));
        let traced = words(&buyers);
        assert_eq!(traced[..2], ["EVALSHA".to_owned(), "f".repeat(40)]);
        assert_eq!(traced[2..15], untraced[2..], "nothing else changes");
        assert_eq!(traced[15..], [format!("{order} {context}")]);
        let words = untraced;
        assert_eq!(words.len(), 15);
        assert_eq!(words[3], "spike:{5}:meta");
        assert_eq!(words[9..12], ["9", "10", "42"].map(str::to_owned));
        assert_eq!(words[13..], ["2", "ab"].map(str::to_owned));
    }
}
