//! What is said on the channel of hints. Nobody may rely on it: a message that is lost costs a poll.
//!
//! A revocation is told with what was revoked, so that a gateway that cannot reach the database, or has not looked yet,
//! refuses those tokens all the same.

use spike_domain::SessionId;

/// Sessions in one message; an account has fewer.
const SESSIONS_MAX: usize = 1000;
const REVOKED: &str = "revoked";
/// Says [`Hint::Look`]: the rate limits have changed.
pub(crate) const LIMITS: &str = "limits";

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Something changed: look again.
    Look,
    /// Tokens of these sessions with a smaller `ver` than `min_ver` are dead.
    Revoked {
        /// Whose tokens.
        sessions: Vec<SessionId>,
        /// The first generation that lives.
        min_ver: u32,
    },
}

impl Hint {
    /// Reads a message; one that says nothing else says [`Hint::Look`].
    pub fn parse(message: &[u8]) -> Self {
        Self::revoked(message).unwrap_or(Self::Look)
    }

    fn revoked(message: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(message).ok()?.split(' ');
        if words.next() != Some(REVOKED) {
            return None;
        }
        let min_ver = words.next()?.parse().ok()?;
        let sessions: Vec<_> = words.take(SESSIONS_MAX).map(SessionId::parse).collect::<Option<_>>()?;
        Some(Self::Revoked { sessions, min_ver })
    }
}

/// The messages that tell of `sessions`: `revoked MIN_VER SESSION SESSION …`.
pub(crate) fn of_revoked(sessions: &[SessionId], min_ver: u32) -> impl Iterator<Item = String> {
    sessions.chunks(SESSIONS_MAX).map(move |chunk| {
        chunk.iter().fold(format!("{REVOKED} {min_ver}"), |text, session| format!("{text} {session}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_revoked_reads_back_in_as_many_messages_as_it_takes() {
        for count in [1, 2, SESSIONS_MAX, SESSIONS_MAX + 1] {
            let sessions: Vec<_> = (0..count).map(|_| SessionId::new(1_763_800_000_000)).collect();
            let mut told = Vec::new();
            for message in of_revoked(&sessions, u32::MAX) {
                let Hint::Revoked { sessions, min_ver } = Hint::parse(message.as_bytes()) else {
                    panic!("{message}")
                };
                assert_eq!(min_ver, u32::MAX);
                told.extend(sessions);
            }
            assert_eq!(told, sessions);
        }
    }

    #[test]
    fn any_other_text_says_look() {
        for text in [
            &b""[..],
            b"7",
            b"relay",
            LIMITS.as_bytes(),
            b"revoked",
            b"revoked ",
            b"revoked x 0190f6f0-0000-7000-8000-000000000000",
            b"revoked -1 0190f6f0-0000-7000-8000-000000000000",
            b"revoked 4294967296 0190f6f0-0000-7000-8000-000000000000",
            b"revoked 1 session",
            b"revoked 1  0190f6f0-0000-7000-8000-000000000000",
            b"REVOKED 1 0190f6f0-0000-7000-8000-000000000000",
            b"\xff\xff",
        ] {
            assert_eq!(Hint::parse(text), Hint::Look, "{}", String::from_utf8_lossy(text));
        }
    }
}
