//! Where a message goes, and what is known of the way it has behind it.

use std::time::Duration;

use crate::Outgoing;

/// Where a message is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The queue of accepted orders.
    Orders,
    /// Back to the queue of accepted orders after so long. Each duration is a queue of its own: use few of them.
    Retry(Duration),
    /// The queue of messages that nobody can use.
    Parking,
    /// The queue of orders to cancel, after so long. Each duration is a queue of its own: use few of them.
    Cancel(Duration),
}

/// Which queue a consumer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbox {
    /// Accepted orders.
    Orders,
    /// Messages that nobody can use.
    Parking,
    /// Orders to cancel.
    Cancel,
}

impl Inbox {
    /// Every queue that is read.
    pub const ALL: [Self; 3] = [Self::Orders, Self::Parking, Self::Cancel];
}

/// What a message carries beside its bytes once it was sent on; a message that comes from its publisher has none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// Failures that were the message's own.
    pub attempts: u32,
    /// Times it was put off for something that is not its own fault.
    pub rests: u32,
    /// Why it was sent on the last time.
    pub reason: String,
    /// The queue that it was parked from; empty unless it was parked.
    pub parked_from: String,
}

impl Trail {
    /// Of a message that was parked without a word by whoever read it, as the broker sees it.
    pub(crate) fn parked_by_broker(self, queue: &str, why: &str) -> Self {
        Self { parked_from: queue.to_owned(), reason: format!("parked by the broker: {why}"), ..self }
    }
}

/// A message on its way to another queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Where to.
    pub to: Route,
    /// Its name and bytes.
    pub message: Outgoing,
    /// What it carries besides.
    pub trail: Trail,
}

/// The words of a duration in a queue's name: `30s`, or `250ms` where seconds are too coarse.
pub(crate) fn name_of(wait: Duration) -> String {
    let ms = wait.as_millis();
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_waits_never_share_a_name() {
        let name = |ms| name_of(Duration::from_millis(ms));
        assert_eq!([name(1000), name(120_000), name(250), name(1500)], ["1s", "120s", "250ms", "1500ms"]);
    }
}
