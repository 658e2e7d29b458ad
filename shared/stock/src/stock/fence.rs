//! The restart fence of either ledger: see [`crate::fence`].

use spike_domain::EventId;

use super::{Kind, Result, Stock};
use crate::Fence;

impl Stock {
    /// Opens the fence of `epoch`: only a rebuild that has just opened this event's ledger, through the same [`Stock`], may
    /// call it.
    pub async fn load_fenced(&self, event: EventId, epoch: u64) -> Result<()> {
        on!(self, ledger => ledger.load_fenced(event, epoch).await,
            embedded => embedded.load_fenced(event).await)
    }

    /// Opens this version's fence beside another's: see [`Ledger::join_fence`](crate::Ledger::join_fence). False where nothing says that the ledger of
    /// `epoch` has been compared with the database; a rebuild does it then.
    pub async fn join_fence(&self, event: EventId, epoch: u64) -> Result<bool> {
        let pinned = self.for_rebuild(event).await?;
        on!(pinned, ledger => ledger.join_fence(event, epoch).await,
            embedded => embedded.fence_open(event).await)
    }

    /// How the fence of `event` stands for the ledger of `epoch`.
    pub async fn fence(&self, event: EventId, epoch: u64) -> Result<Fence> {
        on!(self, ledger => ledger.fence(event, epoch).await,
            embedded => embedded.fence_open(event).await.map(|open| if open { Fence::Open } else { Fence::Closed }))
    }

    /// Whether the fence of `event` is open for the ledger of `epoch`, and for this version.
    pub async fn fence_open(&self, event: EventId, epoch: u64) -> Result<bool> {
        Ok(self.fence(event, epoch).await? == Fence::Open)
    }

    /// The same for whatever epoch the ledger is of; false without one.
    pub async fn fence_open_now(&self, event: EventId) -> Result<bool> {
        match self.views(&[event]).await?.remove(0)? {
            Some(view) => self.fence_open(event, view.epoch).await,
            None => Ok(false),
        }
    }
}
