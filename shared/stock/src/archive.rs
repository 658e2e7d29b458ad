//! Putting an event's ledger away: its keys get a lifetime, so that Redis does not fill with past sales.

use std::time::Duration;

use redis::aio::ConnectionLike;
use spike_domain::EventId;

use crate::keys::{EVENTS, EventKeys};
use crate::{Ledger, Refused, StockError, scripts};

impl<C: ConnectionLike + Clone + Send + Sync> Ledger<C> {
    /// Gives every key of a closed, empty ledger of `epoch` a lifetime and takes the event off the list. A ledger that is
    /// gone already is put away. The caller has archived the event in the database before.
    ///
    /// # Errors
    /// [`Refused`] when the ledger is of another epoch, not closed, or holds something on its way; Redis is away.
    pub async fn archive(&self, event: EventId, epoch: u64, lifetime: Duration) -> Result<(), StockError> {
        let keys = EventKeys::new(event);
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).max(1);
        match self.call(scripts::archive(), &keys.all(), &[epoch.to_string(), lifetime.to_string()]).await {
            Ok(_) | Err(StockError::Refused(Refused::NotReady)) => {}
            Err(error) => return Err(error),
        }
        // Last, and of another slot: an event that is on the list without keys is put away once more.
        redis::cmd("SREM").arg(EVENTS).arg(event.0).query_async::<i64>(&mut self.connection()).await?;
        Ok(())
    }
}
