//! The last figures of every watched event, as metrics: bounded by the number of sales that are on or lately over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use spike_domain::{Conservation, EventId};
use spike_metrics::Page;
use spike_metrics::catalogue::worker::{CONSERVATION_DRIFT, EVENT_UNITS};
use spike_reconcile::Figures;

/// Shared by the job that reads the figures and the port that shows them.
#[derive(Clone, Default)]
pub(crate) struct Drift(Arc<Mutex<BTreeMap<EventId, Figures>>>);

impl Drift {
    /// The newest figures of an event. Figures that were read while units moved replace only others like them: a drift that
    /// was seen stays until it is seen to be gone.
    pub(crate) fn show(&self, event: EventId, figures: Figures) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if figures.exact || !shown.get(&event).is_some_and(|before| before.exact) {
            shown.insert(event, figures);
        }
    }

    /// Forgets every event but these.
    pub(crate) fn keep(&self, events: &[EventId]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|event, _| events.contains(event));
    }

    /// Shows the gauges.
    pub(crate) fn write(&self, page: &mut Page) {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut drifts = page.family(&CONSERVATION_DRIFT);
        for (event, figures) in shown.iter().filter(|(_, figures)| figures.exact) {
            drifts.sample(&[&event.to_string()], figures.conservation.drift());
        }
        let mut units_of = page.family(&EVENT_UNITS);
        for (event, figures) in shown.iter() {
            let Conservation { S, R, L, F, K } = figures.conservation;
            for (figure, units) in [("S", S), ("R", R), ("L", L), ("F", F), ("K", K)] {
                units_of.sample(&[&event.to_string(), figure], units);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(stock: i64, exact: bool) -> Figures {
        let conservation = Conservation { S: 10, R: stock, L: 3, F: 0, K: 0 };
        Figures { conservation, exact, inflight_beyond_outbox: 0 }
    }

    #[test]
    fn a_drift_is_shown_until_it_is_seen_to_be_gone() {
        let drift = Drift::default();
        let render = || {
            let mut page = Page::default();
            drift.write(&mut page);
            page.into_text()
        };
        let told = |text: &str| render().lines().any(|line| line == text);
        drift.show(EventId(7), figures(2, false));
        assert!(!render().contains("drift_units{"), "nothing exact is known yet");
        assert!(told("spike_worker_event_units{event=\"7\",figure=\"R\"} 2"));
        drift.show(EventId(7), figures(6, true));
        assert!(told("spike_worker_conservation_drift_units{event=\"7\"} 1"));
        drift.show(EventId(7), figures(7, false));
        assert!(told("spike_worker_conservation_drift_units{event=\"7\"} 1"));
        drift.show(EventId(7), figures(7, true));
        assert!(told("spike_worker_conservation_drift_units{event=\"7\"} 0"));
        drift.keep(&[EventId(8)]);
        assert!(!render().contains("event=\"7\""));
    }
}
