//! Waiting for a condition of other processes, with a deadline.

use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Lets a fault last: the one thing a test sleeps for.
#[allow(clippy::disallowed_methods, reason = "there is nothing to wait for: the fault is that time passes")]
pub fn lasting(time: Duration) {
    std::thread::sleep(time);
}

/// Asks until there is a value. Panics, naming `what`, when there is none in time.
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, ask)
}

/// The same with another patience.
#[allow(clippy::disallowed_methods, reason = "the one poller: other processes cannot wake it")]
pub fn until_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = ask() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", patience.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}
