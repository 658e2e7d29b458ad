//! The `Idempotency-Key` header, read the same way by the buy and by the control API.

use http::HeaderMap;

/// Longest key, in bytes.
pub const KEY_MAX: usize = 255;

/// What a key must be, for those who send another one.
pub const SYNTAX: &str = "Idempotency-Key must be one value of 1 to 255 printable ASCII characters.";

/// A header that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKey;

/// The digest under which a key is kept: 128 bits in hexadecimal; `None` without the header. Keys are kept per user, so
/// a made-up collision only meets the user's own keys.
///
/// # Errors
/// [`BadKey`]: the header is there twice, empty, too long, or not printable ASCII.
pub fn digest(headers: &HeaderMap) -> Result<Option<Box<str>>, BadKey> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(key) = values.next() else { return Ok(None) };
    let bytes = key.as_bytes();
    let plain = (1..=KEY_MAX).contains(&bytes.len()) && bytes.iter().all(|b| (0x20..0x7f).contains(b));
    if !plain || values.next().is_some() {
        return Err(BadKey);
    }
    let mut text = sha1_smol::Sha1::from(bytes).digest().to_string();
    text.truncate(32);
    Ok(Some(text.into_boxed_str()))
}
