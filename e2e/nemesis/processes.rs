//! Faults of our own processes.

use std::time::Duration;

use super::faults::{Back, Scene};
use crate::poll::lasting;

/// How long a frozen process stands still.
const FROZEN: Duration = Duration::from_secs(10);

pub fn gateway_killed(scene: &mut Scene<'_>) -> Back {
    let (side, gone) = (scene.side(), scene.between(200, 2_000));
    scene.arena.gateway(side).kill9();
    lasting(gone);
    scene.arena.gateway(side).launch();
    Back::now()
}

pub fn worker_killed(scene: &mut Scene<'_>) -> Back {
    let (side, gone) = (scene.side(), scene.between(200, 2_000));
    scene.arena.worker(side).kill9();
    lasting(gone);
    scene.arena.worker(side).launch();
    Back::now()
}

pub fn gateway_frozen(scene: &mut Scene<'_>) -> Back {
    let side = scene.side();
    scene.arena.gateway(side).signal(libc::SIGSTOP);
    lasting(FROZEN);
    scene.arena.gateway(side).signal(libc::SIGCONT);
    Back::now()
}

/// What it had in hand may be locked by its transaction for as long, so that nobody else can cancel either.
pub fn worker_frozen(scene: &mut Scene<'_>) -> Back {
    let side = scene.side();
    scene.while_nobody_cancels(|scene| {
        scene.arena.worker(side).signal(libc::SIGSTOP);
        lasting(FROZEN);
        scene.arena.worker(side).signal(libc::SIGCONT);
    });
    Back::now()
}
