//! The signature of a callback: `Spike-Signature: t=<unix seconds>,v1=<hex>`, where the hex is HMAC-SHA256 over
//! `<unix seconds>.<body>` with a secret both sides know. Signing the time keeps an old callback from being sent again
//! after its window.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header that carries it.
pub const SIGNATURE_HEADER: &str = "spike-signature";

/// Bytes of the code.
const CODE_BYTES: usize = 32;

/// A callback that did not come from who knows the secret, or not now. What exactly is wrong stays unsaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature or its time is not valid")]
pub struct BadSignature;

/// The header's value for a body sent at `at_s` (Unix seconds).
pub fn sign(secret: &[u8], at_s: u64, body: &[u8]) -> String {
    let code = code(secret, at_s, body).finalize().into_bytes();
    let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex}")
}

/// Whether `header` signs `body` and its time is within `window_s` of `now_s`, before or after. The code is compared in
/// constant time.
///
/// # Errors
/// [`BadSignature`], whatever is wrong.
pub fn verify(
    secret: &[u8],
    header: &str,
    body: &[u8],
    now_s: u64,
    window_s: u64,
) -> Result<(), BadSignature> {
    let (at_s, given) = parse(header).ok_or(BadSignature)?;
    code(secret, at_s, body).verify_slice(&given).map_err(|_| BadSignature)?;
    if now_s.abs_diff(at_s) > window_s {
        return Err(BadSignature);
    }
    Ok(())
}

fn code(secret: &[u8], at_s: u64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(format!("{at_s}.").as_bytes());
    mac.update(body);
    mac
}

/// Strictly `t=…,v1=…`: one form, so that nothing can be read in two ways.
fn parse(header: &str) -> Option<(u64, [u8; CODE_BYTES])> {
    let (time, hex) = header.strip_prefix("t=")?.split_once(",v1=")?;
    let plain = !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit());
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if !plain || hex.len() != 2 * CODE_BYTES || !hex.bytes().all(lower) {
        return None;
    }
    let mut code = [0; CODE_BYTES];
    for (byte, digits) in code.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some((time.parse().ok()?, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"shared";
    const NOW: u64 = 1_763_800_000;

    fn check(header: &str, body: &[u8], now_s: u64) -> bool {
        verify(SECRET, header, body, now_s, 300).is_ok()
    }

    #[test]
    fn the_code_is_hmac_sha256() {
        // RFC 4231's second case has no time in it: the code is that of `5.what`, made by another implementation.
        let header = sign(b"Jefe", 5, b"what do ya want for nothing?");
        assert_eq!(header.len(), "t=5,v1=".len() + 64);
        let mac =
            Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap().chain_update(b"what do ya want for nothing?");
        let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "RFC 4231, 4.3");
    }

    #[test]
    fn a_signature_holds_for_its_body_its_time_and_its_window() {
        let header = sign(SECRET, NOW, b"{}");
        for (now_s, holds) in [
            (NOW, true),
            (NOW + 300, true),
            (NOW - 300, true),
            (NOW + 301, false),
            (NOW - 301, false),
            (0, false),
        ] {
            assert_eq!(check(&header, b"{}", now_s), holds, "{now_s}");
        }
        assert!(!check(&header, b"{ }", NOW), "another body");
        assert!(!check(&header.replace("t=17", "t=18"), b"{}", NOW + 100_000_000), "another time");
        assert!(verify(b"other", &header, b"{}", NOW, 300).is_err(), "another secret");
    }

    #[test]
    fn anything_else_is_no_signature() {
        let good = sign(SECRET, NOW, b"{}");
        let (_, hex) = good.split_once(",v1=").unwrap();
        for bad in [
            String::new(),
            "t=,v1=".into(),
            hex.into(),
            format!("v1={hex},t={NOW}"),
            format!("t={NOW},v1={}", &hex[1..]),
            format!("t={NOW},v1={hex}0"),
            format!("t={NOW},v1={}", hex.to_ascii_uppercase()),
            format!("t=+{NOW},v1={hex}"),
            format!("t={NOW}.0,v1={hex}"),
            format!("t=99999999999999999999,v1={hex}"),
            format!(" {good}"),
            format!("{good},v1={hex}"),
        ] {
            assert!(!check(&bad, b"{}", NOW), "{bad}");
        }
        assert!(check(&good, b"{}", NOW));
    }
}
