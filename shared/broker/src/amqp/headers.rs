//! A message's trail as AMQP headers.

use lapin::types::{AMQPValue, FieldTable};

use crate::Trail;

const ATTEMPTS: &str = "x-spike-attempts";
const RESTS: &str = "x-spike-rests";
const REASON: &str = "x-spike-reason";
const PARKED_FROM: &str = "x-spike-parked-from";

/// Longest reason sent along, in bytes: headers share one frame.
const REASON_MAX: usize = 2000;

/// The headers of a message; none for one without a past.
pub(crate) fn of(trail: &Trail) -> FieldTable {
    let mut headers = FieldTable::default();
    let number = |value: u32| AMQPValue::LongLongInt(value.into());
    if trail.attempts > 0 {
        headers.insert(ATTEMPTS.into(), number(trail.attempts));
    }
    if trail.rests > 0 {
        headers.insert(RESTS.into(), number(trail.rests));
    }
    let end = trail.reason.floor_char_boundary(REASON_MAX);
    for (name, value) in [(REASON, &trail.reason[..end]), (PARKED_FROM, &trail.parked_from)] {
        if !value.is_empty() {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
    }
    headers
}

/// What the headers say. Whatever is missing or of another type counts as absent.
pub(crate) fn read(headers: Option<&FieldTable>) -> Trail {
    let count = |name| u32::try_from(number(headers, name)).unwrap_or(u32::MAX);
    Trail {
        attempts: count(ATTEMPTS),
        rests: count(RESTS),
        reason: text(headers, REASON),
        parked_from: text(headers, PARKED_FROM),
    }
}

/// The last queue that the broker has taken the message out of by itself, and why (`delivery_limit`, `rejected`).
pub(crate) fn last_death(headers: Option<&FieldTable>) -> Option<(String, String)> {
    let Some(AMQPValue::FieldArray(deaths)) = headers?.inner().get("x-death") else { return None };
    let AMQPValue::FieldTable(last) = deaths.as_slice().first()? else { return None };
    Some((text(Some(last), "queue"), text(Some(last), "reason")))
}

/// A whole number of any width; 0 unless it is there and above.
pub(crate) fn number(headers: Option<&FieldTable>, name: &str) -> u64 {
    let number = match headers.and_then(|headers| headers.inner().get(name)) {
        Some(AMQPValue::LongLongInt(number)) => *number,
        Some(AMQPValue::LongInt(number)) => (*number).into(),
        Some(AMQPValue::ShortInt(number)) => (*number).into(),
        Some(AMQPValue::ShortShortInt(number)) => (*number).into(),
        _ => 0,
    };
    u64::try_from(number).unwrap_or(0)
}

fn text(headers: Option<&FieldTable>, name: &str) -> String {
    match headers.and_then(|headers| headers.inner().get(name)) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_comes_back_as_it_went() {
        let trail =
            Trail { attempts: 3, rests: 7, reason: "no room".into(), parked_from: "spike.orders".into() };
        assert_eq!(read(Some(&of(&trail))), trail);
        assert_eq!(of(&Trail::default()), FieldTable::default());
        assert_eq!(read(None), Trail::default());
        let long = Trail { reason: "é".repeat(2000), ..Trail::default() };
        assert_eq!(read(Some(&of(&long))).reason, "é".repeat(1000));
    }
}
