//! Faults of MariaDB and of the way to it.

use spike_devstack::{Fault as Network, MariaDbServer};

use super::faults::{Back, Scene};
use crate::poll::lasting;

pub fn killed(scene: &mut Scene<'_>) -> Back {
    let gone = scene.between(100, 2_000);
    scene.while_nobody_cancels(|scene| {
        own(scene).kill9();
        lasting(gone);
        // Its own recovery is part of what a client waits for.
        let back = Back::now();
        own(scene).restart().expect("it starts again");
        back
    })
}

pub fn cut(scene: &mut Scene<'_>) -> Back {
    network(scene, Network::Cut, 3_000)
}

pub fn blackhole(scene: &mut Scene<'_>) -> Back {
    network(scene, Network::Blackhole, 8_000)
}

pub fn delayed(scene: &mut Scene<'_>) -> Back {
    let by = scene.between(10, 150);
    network(scene, Network::Delay(by), 5_000)
}

fn network(scene: &mut Scene<'_>, fault: Network, lasts_ms_max: u64) -> Back {
    let lasts = scene.between(1_000, lasts_ms_max);
    scene.while_nobody_cancels(|scene| {
        scene.arena.database_net.set(fault);
        lasting(lasts);
        scene.arena.database_net.set(Network::Healed);
    });
    Back::now()
}

fn own<'a>(scene: &'a Scene<'_>) -> &'a MariaDbServer {
    scene.arena.mariadb.as_ref().expect("a fault that needs a database of its own")
}
