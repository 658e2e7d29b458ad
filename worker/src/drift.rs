//! The last figures of every watched event, as metrics: bounded by the number of sales that are on or lately over.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use spike_domain::{Conservation, EventId};
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

    /// The gauges, in the Prometheus text format.
    pub(crate) fn render(&self) -> String {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from(
            "# HELP spike_worker_conservation_drift_units S - (R + L + F + K) of an event: 0, or something is broken.\n\
             # TYPE spike_worker_conservation_drift_units gauge\n",
        );
        for (event, figures) in shown.iter().filter(|(_, figures)| figures.exact) {
            let drift = figures.conservation.drift();
            line(
                &mut text,
                format_args!("spike_worker_conservation_drift_units{{event=\"{event}\"}} {drift}"),
            );
        }
        text.push_str(
            "# HELP spike_worker_event_units Units of an event by where they are: S, R, L, F, K.\n\
             # TYPE spike_worker_event_units gauge\n",
        );
        for (event, figures) in shown.iter() {
            let Conservation { S, R, L, F, K } = figures.conservation;
            for (figure, units) in [("S", S), ("R", R), ("L", L), ("F", F), ("K", K)] {
                line(
                    &mut text,
                    format_args!("spike_worker_event_units{{event=\"{event}\",figure=\"{figure}\"}} {units}"),
                );
            }
        }
        text
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes all that is written");
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
        let told = |text: &str| drift.render().lines().any(|line| line == text);
        drift.show(EventId(7), figures(2, false));
        assert!(!drift.render().contains("drift_units{"), "nothing exact is known yet");
        assert!(told("spike_worker_event_units{event=\"7\",figure=\"R\"} 2"));
        drift.show(EventId(7), figures(6, true));
        assert!(told("spike_worker_conservation_drift_units{event=\"7\"} 1"));
        drift.show(EventId(7), figures(7, false));
        assert!(told("spike_worker_conservation_drift_units{event=\"7\"} 1"));
        drift.show(EventId(7), figures(7, true));
        assert!(told("spike_worker_conservation_drift_units{event=\"7\"} 0"));
        drift.keep(&[EventId(8)]);
        assert!(!drift.render().contains("event=\"7\""));
    }
}
