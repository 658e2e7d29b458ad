//! The steps of a rebuild, in their order: begin, load, open, and then the fence.

use spike_domain::{LedgerState, UserId};

use super::{Book, Figures, Header, Held, Opened, Result};
use crate::{Claim, Refused};

impl Book {
    /// `begin.lua`.
    ///
    /// # Errors
    /// A rebuild of this or a later epoch was here before.
    pub fn begin(&mut self, epoch: u64) -> Result<()> {
        let (held, version) = self.header.as_ref().map_or((0, 0), |header| (header.epoch, header.version));
        if held >= epoch {
            return Err(Refused::Stale { epoch: held });
        }
        let figures = self.header.take().and_then(|header| header.figures);
        self.header = Some(Header { epoch, state: LedgerState::Recovering, version: version + 1, figures });
        Ok(())
    }

    /// `load.lua`, whole: replaces claims and keys.
    ///
    /// # Errors
    /// Not in the middle of the rebuild of this epoch.
    pub fn load(
        &mut self,
        epoch: u64,
        claims: Vec<(UserId, Claim)>,
        keys: Vec<(String, Claim)>,
    ) -> Result<()> {
        self.recovering(epoch)?;
        self.buyers = claims
            .into_iter()
            .map(|(user, claim)| {
                let state = claim.state.expect("a claim has a state");
                (user, Held { order: claim.order, state, quantity: claim.quantity })
            })
            .collect();
        self.keys =
            keys.into_iter().map(|(field, kept)| (field.into(), (kept.order, kept.quantity))).collect();
        Ok(())
    }

    /// `open.lua`; returns the new version.
    ///
    /// # Errors
    /// Not in the middle of the rebuild of this epoch.
    pub fn open(&mut self, epoch: u64, opened: Opened) -> Result<u64> {
        self.recovering(epoch)?;
        let Opened { state, stock, inflight, cap, def } = opened;
        let header = self.header.as_mut().expect("checked");
        header.state = state;
        header.version += 1;
        header.figures = Some(Figures { stock, inflight, cap, limit: def.per_user_limit, doc: def });
        self.next_sequence = 0;
        Ok(header.version)
    }

    /// Opens the fence of a book that stands.
    ///
    /// # Errors
    /// It does not stand: what was rebuilt is gone.
    pub fn open_fence(&mut self) -> Result<()> {
        let stands =
            self.header.as_ref().is_some_and(|header| header.state.standing() && header.figures.is_some());
        self.fence_open |= stands;
        if stands { Ok(()) } else { Err(Refused::NotReady) }
    }

    fn recovering(&self, epoch: u64) -> Result<()> {
        let header = self.header.as_ref().ok_or(Refused::NotReady)?;
        if header.epoch != epoch {
            return Err(Refused::Stale { epoch: header.epoch });
        }
        if header.state == LedgerState::Recovering { Ok(()) } else { Err(Refused::Standing) }
    }
}
