//! What is measured of publishing, by whoever publishes.

use std::time::Instant;

use spike_metrics::catalogue::common::{BROKER_CONFIRM_DURATION, BROKER_ERRORS, BROKER_MESSAGES};
use spike_metrics::{Counts, Page, Spreads};

/// The instruments of all publishers of a process.
#[derive(Debug)]
pub struct PublishMetrics {
    confirms: Spreads,
    messages: Counts,
    errors: Counts,
}

impl Default for PublishMetrics {
    fn default() -> Self {
        Self {
            confirms: Spreads::new(&BROKER_CONFIRM_DURATION),
            messages: Counts::new(&BROKER_MESSAGES),
            errors: Counts::new(&BROKER_ERRORS),
        }
    }
}

impl PublishMetrics {
    /// Measures the publishing of a window of so many messages.
    ///
    /// # Errors
    /// Those of `publish`.
    pub async fn window<E>(
        &self,
        messages: usize,
        publish: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let since = Instant::now();
        let result = publish.await;
        match result {
            Ok(()) => {
                self.confirms.took_at(0, since.elapsed());
                self.messages.add(messages as u64);
            }
            Err(_) => self.errors.add(1),
        }
        result
    }

    /// Shows all of it.
    pub fn write(&self, page: &mut Page) {
        self.confirms.write(page);
        self.messages.write(page);
        self.errors.write(page);
    }
}
