//! Single flight: what many want at once is fetched by one task, which goes on when whoever asked first has left.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tracing::Instrument;

use super::Cached;
use crate::control::Result;

type Outcome = Option<Result<Cached>>;

/// What is being fetched now, by name.
#[derive(Default)]
pub(super) struct Flights {
    under_way: Arc<Mutex<HashMap<String, watch::Receiver<Outcome>>>>,
}

/// The end of a fetch, waited for or not.
pub(super) struct Landing(watch::Receiver<Outcome>);

impl Flights {
    /// The fetch of that name, begun by `fetch` if it is not under way.
    pub fn join<F>(&self, name: String, fetch: impl FnOnce() -> F) -> Landing
    where
        F: Future<Output = Result<Cached>> + Send + 'static,
    {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = under_way.get(&name) {
            return Landing(outcome.clone());
        }
        let (told, outcome) = watch::channel(None);
        under_way.insert(name.clone(), outcome.clone());
        let over = Over { under_way: self.under_way.clone(), name };
        let fetch = fetch();
        let task = async move {
            let result = fetch.await;
            // Who comes now finds what was kept; who waits is told.
            drop(over);
            told.send_replace(Some(result));
        };
        tokio::spawn(task.in_current_span());
        Landing(outcome)
    }
}

impl Landing {
    /// How it ended; `None` where it panicked.
    pub async fn wait(mut self) -> Outcome {
        self.0.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
    }
}

/// Takes a fetch off the list however it ends.
struct Over {
    under_way: Arc<Mutex<HashMap<String, watch::Receiver<Outcome>>>>,
    name: String,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    fn cached() -> Result<Cached> {
        Ok(Cached { json: "1".into(), tag: "\"1\"".into() })
    }

    #[tokio::test]
    async fn many_at_once_are_one_fetch_and_the_next_is_another() {
        let (flights, fetches, go) =
            (Flights::default(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let join = || {
            let (fetches, go) = (fetches.clone(), go.clone());
            flights.join("a".into(), move || async move {
                fetches.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                cached()
            })
        };
        let landings: Vec<_> = (0..50).map(|_| join()).collect();
        go.notify_one();
        for landing in landings {
            assert_eq!(&*landing.wait().await.unwrap().unwrap().json, "1");
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        go.notify_one();
        join().wait().await.unwrap().unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_fetch_that_panics_is_over_and_told() {
        let flights = Flights::default();
        let landing = flights.join("a".into(), || async { panic!("planted") });
        assert!(landing.wait().await.is_none());
        assert!(flights.under_way.lock().unwrap().is_empty());
        assert!(flights.join("a".into(), || async { cached() }).wait().await.unwrap().is_ok());
    }
}
