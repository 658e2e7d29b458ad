//! Who is measured: a process that answers the buy route, and what else works for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use spike_arena::process::{Launch, Process};
use spike_domain::EventId;
use spike_peers::nginx::{self, NginxOptions};

use crate::cpu::Pids;
use crate::ring::Ring;

/// The CPU of whoever is measured; the generator has the other one.
pub const THEIR_CPU: usize = 0;
/// The generator's.
pub const OUR_CPU: usize = 1;

/// Somebody who answers presses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The gateway of this project.
    Spike,
    /// The same without its relay: what stays is what the services it is compared with do.
    SpikeAlone,
    /// The same, whose hot cores do not count.
    SpikeUnmeasured,
    /// may_minihttp with an empty answer: the floor.
    MinihttpEmpty,
    /// may_minihttp with the sold-out check and the gateway's answer.
    MinihttpSoldOut,
    /// axum, a ConnectionManager, jsonwebtoken and governor.
    Axum,
    /// The same, with a message an order confirmed before the answer.
    AxumQueue,
    /// nginx with Lua.
    Nginx,
}

impl Who {
    /// The settings of a gateway of ours that it is; `None` for the others.
    pub fn settings(self) -> Option<&'static [(&'static str, &'static str)]> {
        match self {
            Self::Spike => Some(&[]),
            Self::SpikeAlone => Some(&[("SPIKE_RELAY_ENABLED", "false")]),
            Self::SpikeUnmeasured => Some(&[("SPIKE_TELEMETRY_HOT_METRICS", "false")]),
            _ => None,
        }
    }
}

/// A contender that answers.
pub struct Contender {
    /// Its process.
    pub process: Process,
    /// Where it answers.
    pub at: SocketAddr,
}

impl Contender {
    /// Its process beside Redis, for the sum of what a press costs.
    ///
    /// # Errors
    /// When Redis does not run.
    pub fn with_redis(&self, ring: &Ring) -> anyhow::Result<Pids> {
        let redis = ring.stack.redis.pid().context("Redis does not run")?;
        Ok(Pids::from([(self.process.name().to_owned(), self.process.pid()), ("redis".to_owned(), redis)]))
    }
}

/// Starts `who` for `event` on `cpu` and waits until it answers.
///
/// # Errors
/// When it does not start, or the event has no ledger.
pub async fn start(ring: &Ring, who: Who, event: EventId, cpu: Option<usize>) -> anyhow::Result<Contender> {
    if let Some(settings) = who.settings() {
        let process = ring.gateway_with(cpu, settings).await?;
        return Ok(Contender { process, at: ring.base() });
    }
    let at = SocketAddr::from(([127, 0, 0, 1], spike_devstack::free_port()?));
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (listen, number) = (at.to_string(), event.to_string());
    let mut process = match who {
        Who::MinihttpEmpty | Who::MinihttpSoldOut => {
            let mode = if who == Who::MinihttpEmpty { "empty" } else { "sold-out" };
            let args = words(&["--listen", &listen, "--mode", mode, "--event", &number]);
            ring.start("peer-minihttp", &args, cpu)?
        }
        Who::Axum | Who::AxumQueue => {
            let (redis, epoch) = (ring.stack.redis.url(), epoch(ring, event).await?.to_string());
            let mut args =
                words(&["--listen", &listen, "--redis", &redis, "--event", &number, "--epoch", &epoch]);
            if who == Who::AxumQueue {
                args.extend(words(&["--amqp", &ring.env["SPIKE_AMQP_URL"]]));
            }
            ring.start("peer-axum", &args, cpu)?
        }
        Who::Nginx => nginx(ring, at, event, cpu).await?,
        Who::Spike | Who::SpikeAlone | Who::SpikeUnmeasured => unreachable!("returned above"),
    };
    process.wait_listening(at).await?;
    Ok(Contender { process, at })
}

async fn epoch(ring: &Ring, event: EventId) -> anyhow::Result<u64> {
    Ok(ring.ledger().await?.meta(event).await?.context("the event has no ledger")?.epoch)
}

async fn nginx(ring: &Ring, at: SocketAddr, event: EventId, cpu: Option<usize>) -> anyhow::Result<Process> {
    let program: PathBuf =
        nginx::find().context("nginx with its Lua module is missing: make install-peers")?;
    let folder = ring.logs.join(format!("nginx-{}", at.port()));
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let config = nginx::write_config(
        &folder,
        &NginxOptions {
            listen: at,
            redis: SocketAddr::from(([127, 0, 0, 1], ring.stack.redis.port())),
            redis_timeout_ms: 5_000,
            event,
            epoch: epoch(ring, event).await?,
            per_user_limit: 1,
            auth: &ring.config.auth,
            limits: &ring.config.limits,
        },
    )?;
    let command = nginx::command(&program, &config);
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
    Process::spawn(&Launch {
        name: "nginx".into(),
        program,
        args,
        env: ring.env.clone(),
        logs: ring.logs.clone(),
        cpu,
    })
}
