//! A profile as pprof's tools read it: <https://github.com/google/pprof/blob/main/proto/profile.proto>, as far as it is used.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use pprof::Report;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// The bytes of a report that was sampled `frequency` times a second for as long as `took`.
pub(super) fn encode(report: &Report, frequency: i32, took: Duration) -> Vec<u8> {
    let period = 1_000_000_000 / i64::from(frequency);
    let mut making = Making::default();
    let (samples, count) = (making.text("samples"), making.text("count"));
    let (cpu, nanoseconds) = (making.text("cpu"), making.text("nanoseconds"));
    let sample = report
        .data
        .iter()
        .map(|(frames, count)| {
            let symbols = frames.frames.iter().flatten();
            let mut location_id: Vec<u64> = symbols
                .map(|symbol| making.location(&symbol.name(), &symbol.filename(), symbol.lineno()))
                .collect();
            // The root of every stack is its thread, as the flame graph shows it.
            location_id.push(making.location(&frames.thread_name_or_id(), "", 0));
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            Sample { location_id, value: vec![count, count.saturating_mul(period)] }
        })
        .collect();
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let began = report.timing.start_time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let of_cpu = ValueType { kind: cpu, unit: nanoseconds };
    let profile = Profile {
        sample_type: vec![ValueType { kind: samples, unit: count }, of_cpu.clone()],
        sample,
        location: making.locations,
        function: making.functions,
        string_table: making.texts,
        time_nanos: nanos(began),
        duration_nanos: nanos(took),
        period_type: Some(of_cpu),
        period,
    };
    profile.encode_to_vec()
}

/// Tables that samples point into.
struct Making {
    texts: Vec<String>,
    places: HashMap<String, i64>,
    functions: Vec<Function>,
    locations: Vec<Location>,
    known: HashMap<(i64, i64, u32), u64>,
}

impl Default for Making {
    fn default() -> Self {
        // The first text is the empty one, as the format demands.
        Self {
            texts: vec![String::new()],
            places: HashMap::from([(String::new(), 0)]),
            functions: Vec::new(),
            locations: Vec::new(),
            known: HashMap::new(),
        }
    }
}

impl Making {
    fn text(&mut self, text: &str) -> i64 {
        if let Some(&at) = self.places.get(text) {
            return at;
        }
        let at = i64::try_from(self.texts.len()).unwrap_or(i64::MAX);
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), at);
        at
    }

    /// The id of a place in the code; a function and a location are made for each.
    fn location(&mut self, name: &str, file: &str, line: u32) -> u64 {
        let (name, filename) = (self.text(name), self.text(file));
        if let Some(&id) = self.known.get(&(name, filename, line)) {
            return id;
        }
        let id = self.locations.len() as u64 + 1;
        self.functions.push(Function { id, name, system_name: name, filename });
        self.locations.push(Location { id, line: vec![Line { function_id: id, line: line.into() }] });
        self.known.insert((name, filename, line), id);
        id
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::Instant;

    use super::*;
    use crate::debug::profile::Only;

    #[inline(never)]
    fn a_function_that_burns(until: Instant) -> u64 {
        let mut sum = 0_u64;
        while Instant::now() < until {
            sum = (0..10_000_u64).fold(sum, |sum, n| black_box(sum.wrapping_mul(31).wrapping_add(n)));
        }
        sum
    }

    #[test]
    fn a_profile_names_who_burns_and_its_tables_agree() {
        let _only = Only::wait();
        let guard = pprof::ProfilerGuardBuilder::default()
            .frequency(999)
            .blocklist(&["libc", "libgcc", "pthread", "vdso"])
            .build()
            .unwrap();
        let named = |profile: &Profile| {
            profile.string_table.iter().any(|text| text.contains("a_function_that_burns"))
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let profile = loop {
            black_box(a_function_that_burns(Instant::now() + Duration::from_millis(200)));
            let report = guard.report().build().unwrap();
            let bytes = encode(&report, 999, Duration::from_secs(1));
            let profile = Profile::decode(&bytes[..]).unwrap();
            if named(&profile) {
                break profile;
            }
            assert!(Instant::now() < deadline, "{:?}", profile.string_table);
        };
        assert_eq!(profile.string_table[0], "");
        for sample in &profile.sample {
            assert_eq!(sample.value[1], sample.value[0] * profile.period);
            for id in &sample.location_id {
                let location = profile.location.iter().find(|location| location.id == *id).unwrap();
                let function =
                    profile.function.iter().find(|f| f.id == location.line[0].function_id).unwrap();
                assert!(!profile.string_table[usize::try_from(function.name).unwrap()].is_empty());
            }
        }
    }
}
