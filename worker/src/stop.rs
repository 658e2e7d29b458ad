//! How jobs learn that the worker is to leave: they look between two pieces of work and wake from any rest.

use std::time::Duration;

use tokio::sync::watch;

/// The hand that stops the jobs. Dropping it stops them too.
pub(crate) struct Stopper(watch::Sender<bool>);

/// What a job looks at.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

pub(crate) fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    pub(crate) fn asked(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    pub(crate) async fn wait(&mut self) {
        // An error means that the stopper is gone: nobody could ask any more.
        drop(self.0.wait_for(|stop| *stop).await);
    }

    /// Rests for `wait`. True when the worker is to leave instead.
    pub(crate) async fn rest(&mut self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.wait()).await.is_ok()
    }
}
