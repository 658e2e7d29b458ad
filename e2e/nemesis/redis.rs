//! Faults of Redis and of the way to it.

use std::time::{Duration, Instant};

use spike_devstack::{Fault as Network, Tmpfs};

use super::faults::{Back, Scene};
use super::redis_data::{Copy, in_outbox, move_all};
use crate::poll::{lasting, until};

/// Room of the disk that is to be full: enough for what is there already.
const DISK_BYTES: u64 = 768 << 20;

pub fn killed(scene: &mut Scene<'_>) -> Back {
    let gone = scene.between(100, 2_000);
    scene.arena.system.redis.kill9();
    lasting(gone);
    restart(scene)
}

/// What had not reached the database may be gone, and nothing else.
pub fn emptied(scene: &mut Scene<'_>) -> Back {
    scene.arena.system.redis.kill9();
    let lost = Copy::take(&scene.arena.system.redis);
    let back = Back::now();
    scene.arena.system.redis.wipe().expect("it starts again");
    scene.allowed.at_risk.extend(in_outbox(scene.arena, &lost));
    back
}

pub fn older_copy(scene: &mut Scene<'_>) -> Back {
    let older = match scene.copy.take() {
        Some(copy) => copy,
        None => {
            let copy = Copy::take(&scene.arena.system.redis);
            lasting(Duration::from_secs(3));
            copy
        }
    };
    scene.arena.system.redis.kill9();
    let lost = Copy::take(&scene.arena.system.redis);
    older.restore(&scene.arena.system.redis);
    let back = restart(scene);
    scene.allowed.at_risk.extend(in_outbox(scene.arena, &lost));
    back
}

pub fn cut(scene: &mut Scene<'_>) -> Back {
    network(scene, Network::Cut, 3_000)
}

pub fn blackhole(scene: &mut Scene<'_>) -> Back {
    network(scene, Network::Blackhole, 6_000)
}

pub fn half_open(scene: &mut Scene<'_>) -> Back {
    let way = if scene.rng.bool() { Network::AnswersLost } else { Network::RequestsLost };
    network(scene, way, 6_000)
}

pub fn delayed(scene: &mut Scene<'_>) -> Back {
    let by = scene.between(20, 400);
    network(scene, Network::Delay(by), 5_000)
}

/// Stands still most of the time, as on a disk that takes long to sync.
pub fn slow(scene: &mut Scene<'_>) -> Back {
    let until = Instant::now() + scene.between(3_000, 6_000);
    while Instant::now() < until {
        scene.arena.system.redis.pause().expect("it runs");
        lasting(Duration::from_millis(300));
        scene.arena.system.redis.resume().expect("it is frozen");
        lasting(Duration::from_millis(30));
    }
    Back::now()
}

/// Redis with `appendfsync always` ends itself rather than answer for what it could not write.
pub fn disk_full(scene: &mut Scene<'_>) -> Back {
    let redis = &scene.arena.system.redis;
    let folder = redis.dir().join(spike_devstack::RedisServer::AOF);
    let aside = redis.dir().join("aside");
    redis.kill9();
    move_all(&folder, &aside);
    let disk = Tmpfs::mount(&folder, DISK_BYTES).expect("root may mount");
    move_all(&aside, &folder);
    redis.restart().expect("it starts on the small disk");
    lasting(Duration::from_secs(scene.rng.u64(1..3)));

    let redis = &scene.arena.system.redis;
    disk.fill().expect("a disk can be filled");
    until("Redis meets the full disk", || redis.command(&["PING"]).is_err().then_some(()));
    redis.kill9();
    disk.free().expect("the filler is there");
    move_all(&folder, &aside);
    drop(disk);
    move_all(&aside, &folder);
    restart(scene)
}

pub fn scripts_flushed(scene: &mut Scene<'_>) -> Back {
    scene.arena.system.redis.command(&["SCRIPT", "FLUSH"]).expect("Redis answers");
    Back::now()
}

fn restart(scene: &mut Scene<'_>) -> Back {
    let back = Back::now();
    scene.arena.system.redis.restart().expect("it starts again");
    back
}

fn network(scene: &mut Scene<'_>, fault: Network, lasts_ms_max: u64) -> Back {
    let lasts = scene.between(1_000, lasts_ms_max);
    scene.arena.redis_net.set(fault);
    lasting(lasts);
    scene.arena.redis_net.set(Network::Healed);
    Back::now()
}
