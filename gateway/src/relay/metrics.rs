//! What is measured of the relay.

use spike_broker::PublishMetrics;
use spike_metrics::catalogue::gateway::{RELAY_ENTRIES, RELAY_ORDERS, RELAY_REPUBLISHED};
use spike_metrics::{Counts, Page};

/// The instruments of a relay.
#[derive(Debug)]
pub struct RelayMetrics {
    /// Windows and their confirms.
    pub published: PublishMetrics,
    /// Entries the broker has confirmed.
    pub entries: Counts,
    /// Orders in them.
    pub orders: Counts,
    /// Entries published again.
    pub republished: Counts,
}

impl Default for RelayMetrics {
    fn default() -> Self {
        Self {
            published: PublishMetrics::default(),
            entries: Counts::new(&RELAY_ENTRIES),
            orders: Counts::new(&RELAY_ORDERS),
            republished: Counts::new(&RELAY_REPUBLISHED),
        }
    }
}

impl RelayMetrics {
    /// Shows all of it.
    pub fn write(&self, page: &mut Page) {
        self.published.write(page);
        self.entries.write(page);
        self.orders.write(page);
        self.republished.write(page);
    }
}
