//! What travels to the cancel queue: some orders of an event may be past their deadline from a moment on.

use serde::{Deserialize, Serialize};

use crate::EventId;
use crate::message::{BadMessage, VERSION, decimal};

/// Says when to look, and decides nothing: whether an order is past its deadline is the database's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadlineMessage {
    /// Format version.
    pub v: u32,
    /// The event.
    #[serde(with = "decimal")]
    pub event: EventId,
    /// When, Unix milliseconds by the database's clock.
    #[serde(with = "decimal")]
    pub due_ms: u64,
}

impl DeadlineMessage {
    /// A message of this build's version.
    pub fn new(event: EventId, due_ms: u64) -> Self {
        Self { v: VERSION, event, due_ms }
    }

    /// The JSON bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a message has no map with non-string keys and so always encodes")
    }

    /// Reads JSON bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        let message: Self = serde_json::from_slice(bytes)?;
        match message.v {
            VERSION => Ok(message),
            other => Err(BadMessage::Version(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_json_with_ids_as_text_and_refuses_what_it_does_not_know() {
        let message = DeadlineMessage::new(EventId(5), u64::MAX);
        let text = br#"{"v":1,"event":"5","due_ms":"18446744073709551615"}"#;
        assert_eq!(message.encode(), text);
        assert_eq!(DeadlineMessage::decode(text).unwrap(), message);
        for bad in
            [&b""[..], b"{}", br#"{"v":2,"event":"5","due_ms":"1"}"#, br#"{"v":1,"event":5,"due_ms":"1"}"#]
        {
            assert!(DeadlineMessage::decode(bad).is_err(), "{bad:?}");
        }
    }
}
