//! The scripts' texts and digests. The texts are part of the binary; `lua/` is where they are read and changed.

use spike_domain::EventId;

/// A script anybody may send.
#[derive(Debug, Clone)]
pub struct Script {
    /// File name without ending.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// SHA-1 of the text, 40 hex digits: what EVALSHA takes.
    pub sha: String,
}

/// A script that only a rebuild may load. Each event has its own text, so that rebuilding one event after a Redis restart
/// does not open the fence of the others (see `docs/adr/0002-fence-per-event.md`).
#[derive(Debug, Clone)]
pub struct FencedScript {
    /// File name without ending.
    pub name: &'static str,
    /// Its text with the event's line.
    pub text: String,
    /// SHA-1 of the text, 40 hex digits.
    pub sha: String,
}

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub fn $name() -> &'static Script {
            static SCRIPT: std::sync::LazyLock<Script> = std::sync::LazyLock::new(|| {
                let text = include_str!(concat!("../../../lua/", $file, ".lua"));
                Script { name: $file, text, sha: sha1(text) }
            });
            &SCRIPT
        }
    };
}

script!(/** Drops entries whose orders have rows. */ settle, "settle");
script!(/** Gives the units of dead orders back. */ release, "release");
script!(/** First step of a rebuild. */ begin, "begin");
script!(/** Middle steps of a rebuild. */ load, "load");
script!(/** Last step of a rebuild. */ open, "open");
script!(/** Pause, resume, close. */ transition, "transition");
script!(/** Gives the keys of a past event a lifetime. */ archive, "archive");
script!(/** Shows a new order state beside the claim. */ mark, "mark");

/// `reserve.lua` as loaded for `event`.
pub fn reserve(event: EventId) -> FencedScript {
    fenced("reserve", include_str!("../../../lua/reserve.lua"), event)
}

/// `adopt.lua` as loaded for `event`.
pub fn adopt(event: EventId) -> FencedScript {
    fenced("adopt", include_str!("../../../lua/adopt.lua"), event)
}

fn fenced(name: &'static str, text: &str, event: EventId) -> FencedScript {
    let text = format!("{text}-- loaded for event {event}\n");
    FencedScript { name, sha: sha1(&text), text }
}

fn sha1(text: &str) -> String {
    sha1_smol::Sha1::from(text).digest().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_of_one_event_is_not_the_fence_of_another() {
        assert_ne!(reserve(EventId(1)).sha, reserve(EventId(2)).sha);
        assert_eq!(reserve(EventId(1)).sha, reserve(EventId(1)).sha);
        assert!(
            reserve(EventId(1)).text.starts_with("#!lua\n"),
            "Redis refuses before running when memory is out"
        );
    }
}
