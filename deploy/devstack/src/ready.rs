//! Waiting for a condition with a deadline, and what to show when it does not come.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a server may take from spawn to its first real answer, in the worst case of a loaded machine.
pub(crate) const START_DEADLINE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(20);
const TAIL_LINES: usize = 25;

/// Asks `condition` until it gives a value or the time is over.
pub(crate) fn poll<T>(time: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause();
    }
}

/// The last lines of a log, indented, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    let shown: String = lines[from..].iter().map(|line| format!("\n  | {line}")).collect();
    if shown.is_empty() {
        format!("{} is empty", log.display())
    } else {
        format!("the end of {}:{shown}", log.display())
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one poller: it waits for another process, bounded by a deadline"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poll_returns_the_first_value_and_none_when_time_is_over() {
        let mut asked = 0;
        let third = poll(START_DEADLINE, || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(third, Some(3));
        assert_eq!(poll(Duration::ZERO, || None::<()>), None);
    }

    #[test]
    fn tail_shows_the_end_only() {
        let log = std::env::temp_dir().join(format!("spike-tail-{}.log", std::process::id()));
        let text: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        fs::write(&log, text.join("\n")).expect("temp dir is writable");
        let shown = tail(&log);
        fs::remove_file(&log).expect("it was written");
        assert!(shown.ends_with("line 99") && shown.contains("line 75") && !shown.contains("line 74"));
        assert!(tail(&log).ends_with("is empty"));
    }
}
