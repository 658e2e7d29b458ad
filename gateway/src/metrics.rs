//! Everything that a gateway shows on its ops port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use spike_backends::Backends;
use spike_metrics::catalogue::common::READY;
use spike_metrics::catalogue::gateway::{
    BRIDGE_TAKEN, PASSWORD_QUEUE_LENGTH, PASSWORD_THREADS, RATE_LIMITS_VERSION,
};
use spike_metrics::{Page, write_process};

use crate::control::{CacheCounts, Control, ControlMetrics, PasswordMetrics};
use crate::lookout::Seen;
use crate::relay::RelayMetrics;
use crate::shared::Shared;

/// Where the figures are.
pub(crate) struct Metrics {
    pub(crate) shared: Arc<Shared>,
    pub(crate) backends: Backends,
    pub(crate) ready: Arc<AtomicBool>,
    pub(crate) relay: Arc<RelayMetrics>,
    pub(crate) seen: Arc<Seen>,
    control: Arc<ControlMetrics>,
    cache: Arc<CacheCounts>,
    passwords: Arc<PasswordMetrics>,
}

impl Metrics {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        backends: &Backends,
        control: &Control,
        ready: &Arc<AtomicBool>,
    ) -> Self {
        Self {
            shared: shared.clone(),
            backends: backends.clone(),
            ready: ready.clone(),
            relay: Arc::default(),
            seen: Arc::default(),
            control: control.metrics.clone(),
            cache: control.cache.counts(),
            passwords: control.passwords.metrics(),
        }
    }

    /// The text of a scrape.
    pub(crate) fn text(&self) -> String {
        let mut page = Page::default();
        write_process(&mut page);
        page.value(&READY, u8::from(self.ready.load(Ordering::Relaxed)));
        self.shared.counters.write(&mut page);
        self.backends.store.write_metrics(&mut page);
        self.backends.stock.write_metrics(&mut page);
        self.relay.write(&mut page);
        self.seen.write(&mut page);
        self.seen.write_events(&mut page, &self.shared.events.load(), self.shared.clock.read().unix_ms);
        self.control.write(&mut page);
        page.value(&BRIDGE_TAKEN, self.shared.bridge.taken());
        self.cache.write(&mut page);
        page.value(&PASSWORD_QUEUE_LENGTH, self.passwords.waiting());
        page.value(&PASSWORD_THREADS, self.shared.config.auth.argon2_threads);
        self.passwords.write(&mut page);
        page.value(&RATE_LIMITS_VERSION, self.shared.limits.version());
        page.into_text()
    }
}
