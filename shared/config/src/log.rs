//! The log, written to standard error.

use crate::choice::Choice;
use crate::profile::Profile;
use crate::reader::Reader;

/// Section `[log]`.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// What is logged: a level or per-module directives, such as info,lapin=off,spike_gateway=debug. The subscriber
    /// checks the directives when it starts.
    ///
    /// `SPIKE_LOG_LEVEL`: any text that is not empty
    pub level: String,
    /// How a line looks; `auto` is resolved here: JSON in prod, text elsewhere.
    ///
    /// `SPIKE_LOG_FORMAT`: auto, text or json
    pub format: LogFormat,
    /// Lines about failed buys that a hot core writes in a second; those left out are counted in the next one.
    ///
    /// `SPIKE_LOG_HOT_PER_S`: 0 to 100000
    pub hot_per_s: u32,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogConfig {
    pub(crate) fn read(reader: &mut Reader, profile: Profile) -> Self {
        let mut s = reader.section("log");
        let level = s.text("level");
        let format = match s.choice("format") {
            Asked::Text => LogFormat::Text,
            Asked::Json => LogFormat::Json,
            Asked::Auto if profile == Profile::Prod => LogFormat::Json,
            Asked::Auto => LogFormat::Text,
        };
        Self { level, format, hot_per_s: s.number("hot_per_s", 0..=100_000) }
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Auto,
    Text,
    Json,
}

impl Choice for Asked {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("text", Self::Text), ("json", Self::Json)];
}
