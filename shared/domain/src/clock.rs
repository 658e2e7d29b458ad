//! Reading the clock happens at the edges; everything else is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock in Unix milliseconds; 0 before 1970.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// `2026-11-22T09:30:00.250Z` for Unix milliseconds; times out of range show as the nearest that fits.
pub fn rfc3339(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::MAX);
    format!("{stamp:.3}")
}

/// Unix milliseconds of an RFC 3339 time, or `None` when it is not one or lies before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(stamp.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back() {
        assert_eq!(rfc3339(1_763_803_800_250), "2025-11-22T09:30:00.250Z");
        assert_eq!(parse_rfc3339("2025-11-22T10:30:00.250+01:00"), Some(1_763_803_800_250));
        assert_eq!(parse_rfc3339("yesterday"), None);
        assert_eq!(parse_rfc3339("1969-12-31T23:59:59Z"), None);
    }
}
