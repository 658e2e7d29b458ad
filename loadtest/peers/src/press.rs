//! What a press says, read by serde_json; the gateway's own reader says what is wrong with a bad one.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::Deserialize;
use spike_gateway::hot::press::{self, BadPress};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Press {
    quantity: u32,
}

/// Units wanted, at least 1.
pub(crate) fn quantity(headers: &HeaderMap, body: &[u8]) -> Result<u32, BadPress> {
    let json = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if json
        && let Ok(Press { quantity: quantity @ 1.. }) = serde_json::from_slice(body)
        && body.first() == Some(&b'{')
    {
        return Ok(quantity);
    }
    press::quantity(headers, body)
}
