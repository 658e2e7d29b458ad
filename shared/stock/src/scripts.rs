//! The scripts' texts and digests. The texts are part of the binary; `lua/` is where they are read and changed.

use std::borrow::Cow;

use spike_domain::EventId;
use spike_domain::mutant::{self, Mutant};

/// A script anybody may send.
#[derive(Debug, Clone)]
pub struct Script {
    /// File name without ending.
    pub name: &'static str,
    /// Its text.
    pub text: Cow<'static, str>,
    /// SHA-1 of the text, 40 hex digits: what EVALSHA takes.
    pub sha: String,
}

/// A script that only a rebuild may load. Each event and epoch has its own text: rebuilding one event after a Redis restart
/// does not open the fence of the others (`docs/adr/0002-fence-per-event.md`), and a master that was deposed and comes back
/// with the scripts of an earlier epoch is behind its fence (`docs/adr/0011-redis-cluster.md`).
#[derive(Debug, Clone)]
pub struct FencedScript {
    /// File name without ending.
    pub name: &'static str,
    /// Its text with the line of the event and the epoch.
    pub text: String,
    /// SHA-1 of the text, 40 hex digits.
    pub sha: String,
}

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub fn $name() -> &'static Script {
            static SCRIPT: std::sync::LazyLock<Script> = std::sync::LazyLock::new(|| {
                let text = text_of($file, include_str!(concat!("../../../lua/", $file, ".lua")));
                Script { name: $file, sha: sha1(&text), text }
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

/// `reserve.lua` as loaded for `event` in `epoch`.
pub fn reserve(event: EventId, epoch: u64) -> FencedScript {
    fenced("reserve", include_str!("../../../lua/reserve.lua"), event, epoch)
}

/// `adopt.lua` as loaded for `event` in `epoch`.
pub fn adopt(event: EventId, epoch: u64) -> FencedScript {
    fenced("adopt", include_str!("../../../lua/adopt.lua"), event, epoch)
}

/// `fence.lua` as loaded for `event` in `epoch`: whether the ledger has been compared with the database, whichever version's
/// worker did it. The same text in every version.
pub fn fence(event: EventId, epoch: u64) -> FencedScript {
    fenced("fence", include_str!("../../../lua/fence.lua"), event, epoch)
}

fn fenced(name: &'static str, text: &'static str, event: EventId, epoch: u64) -> FencedScript {
    let text = text_of(name, text);
    let text = format!("{text}-- loaded for event {event} in epoch {epoch}\n");
    FencedScript { name, sha: sha1(&text), text }
}

/// A script as it is sent: the file, but for a planted bug.
fn text_of(name: &str, text: &'static str) -> Cow<'static, str> {
    let of_name: Vec<_> =
        BUGS.iter().filter(|(of, ..)| *of == name).map(|&(_, bug, line, new)| (bug, line, new)).collect();
    if of_name.iter().any(|(bug, ..)| mutant::on(*bug)) {
        return mutant::replaced(text, &of_name).into();
    }
    text.into()
}

/// Script, planted bug, the line and what stands in its place (builds of tests only, see [`mutant`]).
const BUGS: &[(&str, Mutant, &str, &str)] = &[
    ("release", Mutant::ReleaseFence, "if meta[1] ~= ARGV[1] then return {'NO', 'stale', meta[1]} end\n", ""),
    (
        "release",
        Mutant::ReleaseFence,
        "if meta[2] == 'recovering' then return {'NO', 'recovering', meta[1]} end\n",
        "",
    ),
    (
        "release",
        Mutant::RestockWithoutCompare,
        "  if claim and string.sub(claim, 1, 36) == order then\n",
        "  if claim then\n",
    ),
    (
        "adopt",
        Mutant::AdoptEntry,
        "  redis.call('XADD', KEYS[6], meta[1] .. '-*', 'v', '1', 't', ARGV[2], 'o', table.concat(lines, '\\n'))\n",
        "",
    ),
    ("adopt", Mutant::RefusalRemembered, "    if not kept then\n", "    if false then\n"),
    (
        "reserve",
        Mutant::DecrementBeforeChecks,
        "    if wanted > limit then\n",
        "    units = units + wanted\n    if wanted > limit then\n",
    ),
    (
        "reserve",
        Mutant::DecrementBeforeChecks,
        "      answer = 'A'\n      units = units + wanted\n",
        "      answer = 'A'\n",
    ),
    (
        "reserve",
        Mutant::DecrementBeforeChecks,
        "    elseif wanted > stock - units then\n",
        "    elseif units > stock then\n",
    ),
    ("reserve", Mutant::MaxLen, "'XADD', KEYS[6], epoch", "'XADD', KEYS[6], 'MAXLEN', '2', epoch"),
    ("open", Mutant::GroupAtEnd, "ARGV[8], '0', 'MKSTREAM'", "ARGV[8], '$', 'MKSTREAM'"),
];

fn sha1(text: &str) -> String {
    sha1_smol::Sha1::from(text).digest().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_a_comparison_is_the_same_in_every_version() {
        assert_eq!(
            fence(EventId(7), 1_763_800_000_001).sha,
            "ccb2d4c565ddebb1429837c596fcff2e1f5428e9",
            "its text must never change: see lua/fence.lua"
        );
    }

    #[test]
    fn the_fence_of_one_event_and_epoch_is_not_the_fence_of_another() {
        assert_ne!(reserve(EventId(1), 5).sha, reserve(EventId(2), 5).sha);
        assert_ne!(reserve(EventId(1), 5).sha, reserve(EventId(1), 6).sha);
        assert_eq!(reserve(EventId(1), 5).sha, reserve(EventId(1), 5).sha);
        assert!(
            reserve(EventId(1), 5).text.starts_with("#!lua\n"),
            "Redis refuses before running when memory is out"
        );
    }
}
