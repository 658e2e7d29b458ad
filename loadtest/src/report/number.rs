//! Numbers as people read them.

/// A count with a comma every three digits.
pub(super) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// The same, signed.
pub(super) fn signed(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", count(value.unsigned_abs()))
}

/// A measured value to about three digits: `0.012`, `1.25`, `12.5`, `1,250`. A dash when it is not a number.
pub(super) fn measure(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if !value.is_finite() => return "–".to_owned(),
        _ if size < 0.000_5 => 0,
        _ if size < 0.1 => 3,
        _ if size < 10.0 => 2,
        _ if size < 100.0 => 1,
        _ => 0,
    };
    trimmed(value, decimals)
}

/// With as many decimals as the step of an axis needs.
pub(super) fn tick(value: f64, step: f64) -> String {
    let whole_after = |decimals: &usize| {
        let scaled = (0..*decimals).fold(step, |scaled, _| scaled * 10.0);
        (scaled - scaled.round()).abs() < 1e-6
    };
    trimmed(value, (0..6).find(whole_after).unwrap_or(6))
}

/// A share of a whole as per cent; a dash for a share of nothing.
#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
pub(super) fn per_cent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    format!("{:.2} %", 100.0 * part as f64 / whole as f64)
}

fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 && text.contains(|digit| ('1'..='9').contains(&digit)) { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", grouped(whole))
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([signed(-1000), signed(i64::MIN)], ["-1,000", "-9,223,372,036,854,775,808"]);
        assert_eq!(
            [0.0, 0.0124, 0.5, 1.254, 12.54, 99.96, 125.4, 12_345.6, -1.5, -0.0001].map(measure),
            ["0", "0.012", "0.5", "1.25", "12.5", "100", "125", "12,346", "-1.5", "0"]
        );
        assert_eq!([f64::NAN, f64::INFINITY].map(measure), ["–", "–"]);
        assert_eq!([tick(0.25, 0.05), tick(2000.0, 500.0), tick(0.0, 0.5)], ["0.25", "2,000", "0"]);
        assert_eq!([per_cent(1, 3), per_cent(0, 5), per_cent(0, 0)], ["33.33 %", "0.00 %", "–"]);
    }
}
