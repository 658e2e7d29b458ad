//! The log: one subscriber a process, on standard error, as text for people or as JSON for machines. What is logged can be
//! changed while the process runs.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::reload::Error as Gone;

/// What the level of a log may be.
const ALLOWED: &str = "off, error, warn, info, debug or trace, and target=level, separated by commas";

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people; coloured where standard error is a terminal.
    Text,
    /// One JSON object a line, the event's fields at its top.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The directives cannot be read.
    #[error("SPIKE_LOG_LEVEL is {value:?}; allowed: {ALLOWED}")]
    BadLevel {
        /// The directives as they were given.
        value: String,
    },
    /// The process has a subscriber already.
    #[error("the log was started twice")]
    StartedTwice,
}

/// Starts the log of this process. `level` is a level, or directives such as `info,spike_gateway=debug`.
///
/// # Errors
/// [`InitError::BadLevel`], for which the caller exits 2 as for any bad setting; [`InitError::StartedTwice`].
pub fn init(format: Format, level: &str) -> Result<(), InitError> {
    let (subscriber, turn) = subscriber(format, filter(level)?, io::stderr().is_terminal(), io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| InitError::StartedTwice)?;
    LEVEL.get_or_init(|| Level { turn, now: Mutex::new(level.to_owned()) });
    Ok(())
}

/// What is logged now; `None` before the log was started.
pub fn level() -> Option<String> {
    LEVEL.get().map(|level| level.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone())
}

/// Logs by other directives from now on, until the process ends. They are as those of [`init`].
///
/// # Errors
/// Directives that cannot be read, or a log that was not started.
pub fn set_level(directives: &str) -> Result<(), String> {
    let filter = filter(directives).map_err(|_| format!("{directives:?} is no level; allowed: {ALLOWED}"))?;
    let level = LEVEL.get().ok_or("the log was not started")?;
    let mut now = level.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    (level.turn)(filter).map_err(|error| error.to_string())?;
    directives.clone_into(&mut now);
    Ok(())
}

/// There is one a process, as there is one log.
static LEVEL: OnceLock<Level> = OnceLock::new();

struct Level {
    turn: Turn,
    now: Mutex<String>,
}

type Turn = Arc<dyn Fn(EnvFilter) -> Result<(), Gone> + Send + Sync>;

fn subscriber<W>(
    format: Format,
    filter: EnvFilter,
    ansi: bool,
    writer: W,
) -> (Box<dyn Subscriber + Send + Sync>, Turn)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        Format::Text => {
            let builder = builder.with_ansi(ansi).with_filter_reloading();
            let handle = builder.reload_handle();
            (Box::new(builder.finish()), Arc::new(move |filter| handle.reload(filter)))
        }
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_span_list(false).with_filter_reloading();
            let handle = builder.reload_handle();
            (Box::new(builder.finish()), Arc::new(move |filter| handle.reload(filter)))
        }
    }
}

/// Reads directives. Stricter than the library, to which a misspelt level is the name of a module: `inof` would
/// silence the whole log.
fn filter(level: &str) -> Result<EnvFilter, InitError> {
    let bad = || InitError::BadLevel { value: level.to_owned() };
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    if !level.split(',').map(str::trim).all(|word| word.contains('=') || is_level(word)) {
        return Err(bad());
    }
    EnvFilter::builder().parse(level).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic holds it").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, level: &str) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let (subscriber, _) =
            subscriber(format, filter(level).expect("a level"), false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(order = 7, "accepted");
            tracing::debug!("not at info");
        });
        String::from_utf8(captured.0.lock().expect("no panic holds it").clone()).expect("UTF-8")
    }

    #[test]
    fn a_json_line_is_one_object_with_the_fields_at_its_top() {
        let text = logged(Format::Json, "info");
        let line: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
        assert_eq!(
            (&line["message"], &line["order"], &line["level"]),
            (&"accepted".into(), &7.into(), &"INFO".into())
        );
    }

    #[test]
    fn a_text_line_has_no_colours_in_a_file() {
        let text = logged(Format::Text, "info");
        assert!(text.contains("accepted order=7") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn directives_choose_what_is_logged() {
        assert_eq!(logged(Format::Text, "off"), "");
        assert_eq!(logged(Format::Text, "off,spike_telemetry=debug").lines().count(), 2);
        assert_eq!(logged(Format::Text, "debug,spike_telemetry=warn"), "");
    }

    #[test]
    fn the_level_can_be_turned_while_it_logs() {
        for format in [Format::Text, Format::Json] {
            let captured = Captured::default();
            let writer = captured.clone();
            let (subscriber, turn) =
                subscriber(format, filter("warn").expect("a level"), false, move || writer.clone());
            tracing::subscriber::with_default(subscriber, || {
                for (level, lines) in [("info", 1), ("off", 1), ("spike_telemetry=debug", 2)] {
                    tracing::info!("not at warn");
                    turn(filter(level).expect("a level")).expect("the log is there");
                    tracing::info!("perhaps");
                    turn(filter("warn").expect("a level")).expect("the log is there");
                    let text = captured.0.lock().expect("no panic holds it").clone();
                    let text = String::from_utf8(text).expect("UTF-8");
                    assert_eq!(
                        (text.lines().count(), text.contains("not at warn")),
                        (lines, false),
                        "{level}"
                    );
                }
            });
        }
    }

    #[test]
    fn misspelt_levels_are_refused() {
        for bad in ["inof", "", "info,", "info,spike_gateway", "spike_gateway=loud", "info;debug"] {
            let error = filter(bad).expect_err(bad).to_string();
            assert!(error.contains("SPIKE_LOG_LEVEL") && error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
