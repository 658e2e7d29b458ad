//! When a fault is over for the clients, and how long after everything was back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use loadtest::proof::{Act, Bought, Record};
use spike_domain::clock::now_ms;
use spike_domain::{EventId, UserId};

use super::arena::Arena;
use super::client::Client;
use super::crowd::Told;
use super::faults::{Back, Over};
use crate::poll::lasting;

/// Longer than any bound, so that a bound that is missed has a figure.
const PATIENCE: Duration = Duration::from_secs(180);

/// Presses of its own, to see whether a sale goes on; they are part of what clients were told.
pub struct Prober {
    users: Vec<(UserId, String)>,
    next: usize,
    /// What it was told.
    pub told: Vec<Told>,
}

impl Prober {
    /// With some accounts.
    pub fn new(users: Vec<(UserId, String)>) -> Self {
        Self { users, next: 0, told: Vec::new() }
    }

    /// How long it took until the fault was over.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait(&mut self, arena: &Arena, over: Over, back: Back, on_sale: &[EventId]) -> Duration {
        let came_ms = now_ms().saturating_sub(u64::try_from(back.at.elapsed().as_millis()).unwrap_or(0));
        loop {
            let done = match over {
                Over::Process => arena.ready(),
                Over::Redis => open(arena, on_sale),
                Over::Backlog => written(arena, came_ms),
                Over::Database => arena.ready() && written(arena, came_ms),
            };
            let seen = back.at.elapsed();
            if done && on_sale.iter().all(|&event| self.sells(arena, event)) {
                return seen.saturating_sub(back.patience);
            }
            assert!(seen < PATIENCE + back.patience, "{over:?} is not over after {seen:?}");
            lasting(Duration::from_millis(50));
        }
    }

    /// Whether both gateways decide a press of this event.
    fn sells(&mut self, arena: &Arena, event: EventId) -> bool {
        arena.gateways.iter().all(|&at| self.press(arena, at, event))
    }

    fn press(&mut self, arena: &Arena, at: SocketAddr, event: EventId) -> bool {
        self.next += 1;
        let (user, token) = self.users[self.next % self.users.len()].clone();
        let sent_ms = now_ms();
        let told = arena.system.runtime.block_on(Client::new(&[at]).buy(0, event, &token, None));
        let act = Act::Buy(None, told);
        self.told.push((event, Record { user, sent_ms, answered_ms: now_ms(), act }));
        matches!(told, Bought::Accepted(_) | Bought::Already(_) | Bought::SoldOut)
    }
}

/// Whether every ledger on sale stands, is the database's and has its fence open.
fn open(arena: &Arena, on_sale: &[EventId]) -> bool {
    let stands = async |event: EventId| {
        let row = arena.system.store.event(event).await.ok()??;
        let meta = arena.ledger.meta(event).await.ok()??;
        let fence = arena.ledger.fence_open_now(event).await.ok()?;
        Some(fence && meta.epoch == row.epoch && Some(meta.state) == row.state.ledger())
    };
    arena.system.runtime.block_on(async {
        for &event in on_sale {
            if stands(event).await != Some(true) {
                return false;
            }
        }
        true
    })
}

/// Whether no outbox holds an order that was accepted before this moment.
fn written(arena: &Arena, before_ms: u64) -> bool {
    arena.system.runtime.block_on(async {
        for &event in &arena.events {
            let Ok(page) = arena.ledger.entries(event, None, 1).await else { return false };
            let old = page.entries.iter().flat_map(|entry| &entry.orders);
            if old.into_iter().any(|order| order.accepted_at_ms < before_ms) {
                return false;
            }
        }
        true
    })
}

/// How long ago a moment was, for the log of a run.
pub fn since(begin: Instant) -> String {
    let seconds = begin.elapsed().as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}
