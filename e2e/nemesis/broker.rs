//! Faults of RabbitMQ and of the way to it.

use std::time::{Duration, Instant};

use spike_broker::topology;
use spike_devstack::{Fault as Network, RabbitServer};

use super::faults::{Back, Scene};
use crate::poll::lasting;

pub fn cut(scene: &mut Scene<'_>) -> Back {
    let lasts = scene.between(1_000, 4_000);
    scene.arena.broker_net.set(Network::Cut);
    lasting(lasts);
    scene.arena.broker_net.set(Network::Healed);
    Back::now()
}

pub fn killed(scene: &mut Scene<'_>) -> Back {
    let gone = scene.between(100, 2_000);
    own(scene).kill9();
    lasting(gone);
    own(scene).restart().expect("it starts again");
    Back::now()
}

/// Stopped for longer than the relay waits before it publishes again.
pub fn stopped(scene: &mut Scene<'_>) -> Back {
    own(scene).kill9();
    lasting(scene.republish_after + Duration::from_secs(5));
    own(scene).restart().expect("it starts again");
    Back::now()
}

/// A new machine in the middle of a backlog: workers stand still, so that the queue is full of orders when it goes.
pub fn wiped(scene: &mut Scene<'_>) -> Back {
    let backlog = scene.between(1_000, 2_000);
    scene.while_nobody_cancels(|scene| {
        frozen_workers(scene, |scene| {
            lasting(backlog);
            own(scene).wipe().expect("it starts again");
            own(scene).create_vhost("sale").expect("its virtual host");
        });
    });
    lost_at(scene, Instant::now())
}

pub fn purged(scene: &mut Scene<'_>) -> Back {
    let backlog = scene.between(1_000, 2_000);
    scene.while_nobody_cancels(|scene| {
        frozen_workers(scene, |scene| {
            lasting(backlog);
            scene.arena.broker_ctl(&["purge_queue", topology::ORDERS]).expect("the broker answers");
        });
    });
    lost_at(scene, Instant::now())
}

/// No publisher is let in until there is memory again.
pub fn memory_alarm(scene: &mut Scene<'_>) -> Back {
    let lasts = scene.between(3_000, 8_000);
    own(scene).ctl(&["set_vm_memory_high_watermark", "0.0000001"]).expect("the broker answers");
    lasting(lasts);
    own(scene).ctl(&["set_vm_memory_high_watermark", "0.6"]).expect("the broker answers");
    Back::now()
}

/// What was in the queue comes again when the relay's patience with it is over; recovery is what it takes after that.
fn lost_at(scene: &Scene<'_>, at: Instant) -> Back {
    // It looks for such entries every five seconds, or oftener.
    let looks = (scene.republish_after / 8).min(Duration::from_secs(5));
    Back { at, patience: scene.republish_after + looks }
}

fn frozen_workers(scene: &mut Scene<'_>, work: impl FnOnce(&mut Scene<'_>)) {
    use super::arena::Side::{A, B};
    for side in [A, B] {
        scene.arena.worker(side).signal(libc::SIGSTOP);
    }
    work(scene);
    for side in [A, B] {
        scene.arena.worker(side).signal(libc::SIGCONT);
    }
}

fn own<'a>(scene: &'a Scene<'_>) -> &'a RabbitServer {
    scene.arena.rabbit.as_ref().expect("a fault that needs a broker of its own")
}
