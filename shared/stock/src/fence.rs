//! The restart fence in Redis: which of an event's fenced scripts are loaded, and who may load them.
//!
//! A rebuild loads them when it has compared the ledger with the database, and beside them a mark that is the same in every
//! version of the service. Where the mark is, a worker of another version may add its own scripts
//! (`docs/adr/0002-fence-per-event.md`).

use redis::aio::ConnectionLike;
use spike_domain::EventId;

use crate::keys::EventKeys;
use crate::scripts::{self, FencedScript};
use crate::{Ledger, Refused, StockError};

/// How the fence of an event and epoch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// This version's scripts are loaded.
    Open,
    /// The ledger has been compared with the database, but by another version: ours are not loaded.
    OfAnother,
    /// Nobody is known to have compared it since Redis started.
    Closed,
}

impl<C: ConnectionLike + Clone + Send + Sync> Ledger<C> {
    /// Opens the fence of `epoch`: only a rebuild that has just opened this event's ledger on this very connection may call
    /// it. A server that is not the event's master any more, or holds another epoch, refuses.
    pub async fn load_fenced(&self, event: EventId, epoch: u64) -> Result<(), StockError> {
        // Loading a script names no key, so a node of a cluster that lost the event's slot would take it: asked first.
        let held = self.epoch_of(event).await?.unwrap_or(0);
        if held != epoch {
            return Err(Refused::Stale { epoch: held }.into());
        }
        self.load_texts(&[
            scripts::fence(event, epoch),
            scripts::adopt(event, epoch),
            scripts::reserve(event, epoch),
        ])
        .await
    }

    /// Opens this version's fence of `epoch` beside another's, without a rebuild: only where a rebuild of this very epoch has
    /// opened one before, and Redis has not restarted since. False where that is not known. Only on a connection that never
    /// reconnects, or what was asked of one server might be done to another.
    pub async fn join_fence(&self, event: EventId, epoch: u64) -> Result<bool, StockError> {
        if self.epoch_of(event).await? != Some(epoch) || self.fence(event, epoch).await? == Fence::Closed {
            return Ok(false);
        }
        self.load_texts(&[scripts::adopt(event, epoch), scripts::reserve(event, epoch)]).await?;
        Ok(true)
    }

    /// What is loaded of `event` in `epoch` where the event's keys are.
    pub async fn fence(&self, event: EventId, epoch: u64) -> Result<Fence, StockError> {
        let mut pipe = redis::pipe();
        // The key leads the question to the event's master; asked alone, any node would answer for itself.
        pipe.cmd("EXISTS").arg(EventKeys::new(event).meta).ignore();
        pipe.cmd("SCRIPT").arg("EXISTS");
        for script in [scripts::reserve, scripts::adopt, scripts::fence] {
            pipe.arg(script(event, epoch).sha);
        }
        let (loaded,): (Vec<bool>,) = pipe.query_async(&mut self.connection()).await?;
        Ok(match loaded[..] {
            [true, true, _] => Fence::Open,
            [_, _, true] => Fence::OfAnother,
            _ => Fence::Closed,
        })
    }

    async fn load_texts(&self, texts: &[FencedScript]) -> Result<(), StockError> {
        for script in texts {
            let sha: String = redis::cmd("SCRIPT")
                .arg("LOAD")
                .arg(&script.text)
                .query_async(&mut self.connection())
                .await?;
            assert_eq!(sha, script.sha, "Redis and we must agree on a script's digest");
        }
        Ok(())
    }
}
