//! Looks at a shop of our own while a load presses it: stock, backlog, processors, pools, and the counters of everybody.
//!
//! What is drawn over time goes into samples, what is told once for the whole phase into figures. [`scrape`] reads metrics,
//! [`sql`] asks the database, [`kept`] remembers what counters were and gauges came to.

mod kept;
mod scrape;
mod sql;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use loadtest::record::{ProcessSampler, Sample, figure};
use redis::aio::MultiplexedConnection;
use spike_broker::topology;
use spike_domain::EventId;
use spike_domain::clock::now_ms;
use spike_stock::{EventKeys, Ledger};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::ring::{ROLES, Ring};
use crate::shop::Processes;
use kept::Kept;
use sql::Sql;

/// Gauges and counters of `INFO` that say something of a load.
const REDIS_GAUGES: [&str; 2] = ["connected_clients", "used_memory"];
const REDIS_COUNTERS: [&str; 2] = ["aof_delayed_fsync", "total_commands_processed"];

/// A look at everything, again and again.
pub struct Sampler {
    processes: Option<ProcessSampler>,
    ledger: Ledger<MultiplexedConnection>,
    event: EventId,
    channel: Channel,
    _broker: Connection,
    ops: [SocketAddr; 2],
    sql: Sql,
    pool_max: u32,
    kept: Kept,
    /// Looks at which a server did not answer.
    failed: Vec<String>,
}

/// Everything that was seen.
pub struct Seen {
    /// The looks.
    pub samples: Vec<Sample>,
    /// The figures of the whole time.
    pub figures: BTreeMap<String, f64>,
    /// Looks at which a server did not answer, with why.
    pub failed: Vec<String>,
}

/// A sampler that looks by itself until it is told to stop.
pub struct Sampling {
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<(Sampler, Vec<Sample>)>>,
}

impl Sampler {
    /// Begins with a look at every counter.
    ///
    /// # Errors
    /// When a server cannot be asked.
    pub async fn open(ring: &Ring, processes: &Processes, event: EventId) -> anyhow::Result<Self> {
        let mut pids: BTreeMap<String, Vec<u32>> =
            ring.servers()?.into_iter().map(|(name, pid)| (name, vec![pid])).collect();
        pids.insert("gateway".to_owned(), vec![processes.gateway.pid()]);
        pids.insert("worker".to_owned(), vec![processes.worker.pid()]);
        pids.insert("generator".to_owned(), vec![std::process::id()]);
        let properties = ConnectionProperties::default().with_connection_name("spike-load".into());
        let broker = Connection::connect(&ring.env["SPIKE_AMQP_URL"], properties).await?;
        let mut sampler = Self {
            processes: Some(ProcessSampler::new(pids, std::time::Instant::now())),
            ledger: ring.ledger().await?,
            event,
            channel: broker.create_channel().await?,
            _broker: broker,
            ops: [ring.config.http.ops_listen, ring.config.worker.ops_listen],
            sql: Sql::new(ring.stack.mariadb.port())?,
            pool_max: ring.config.database.connections_max,
            kept: Kept::default(),
            failed: Vec::new(),
        };
        sampler.sql.count_rows().await?;
        sampler.counters(&mut Sample::default()).await?;
        Ok(sampler)
    }

    /// Looks every `every` from now on.
    pub fn start(mut self, every: Duration) -> Sampling {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let begin = Instant::now();
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first tick is now, when no process has used anything yet.
            ticks.tick().await;
            let mut samples = Vec::new();
            loop {
                let last = tokio::select! {
                    _ = ticks.tick() => false,
                    _ = stopped.wait_for(|stop| *stop) => true,
                };
                let mut sample = Sample { at_s: begin.elapsed().as_secs_f64(), ..Sample::default() };
                sample = self.used(sample).await?;
                // A server that does not answer in time is a gap of the charts, and no end of the load.
                if let Err(error) = self.servers(&mut sample).await {
                    self.failed.push(format!("second {:.0}: {error:#}", sample.at_s));
                }
                samples.push(sample);
                if last {
                    return Ok((self, samples));
                }
            }
        });
        Sampling { stop, task }
    }

    /// What the processes used since the look before.
    async fn used(&mut self, mut sample: Sample) -> anyhow::Result<Sample> {
        let mut processes = self.processes.take().context("processes are looked at once at a time")?;
        // Memory maps take milliseconds to read, which would be the load's.
        let looked = tokio::task::spawn_blocking(move || {
            processes.sample(std::time::Instant::now(), &mut sample);
            (processes, sample)
        });
        let (processes, sample) = looked.await?;
        self.processes = Some(processes);
        Ok(sample)
    }

    async fn servers(&mut self, sample: &mut Sample) -> anyhow::Result<()> {
        sample.stock = self.ledger.meta(self.event).await?.and_then(|meta| meta.stock);
        self.backlog(sample).await?;
        self.counters(sample).await
    }

    /// Queue, outbox, and how long its oldest order has waited.
    async fn backlog(&mut self, sample: &mut Sample) -> anyhow::Result<()> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(topology::ORDERS.into(), passive, FieldTable::default());
        sample.queue_messages = Some(u64::from(queue.await?.message_count()));
        let mut connection = self.ledger.connection();
        let outbox = EventKeys::new(self.event).outbox;
        sample.outbox_entries = Some(redis::cmd("XLEN").arg(outbox).query_async(&mut connection).await?);
        let first = self.ledger.entries(self.event, None, 1).await?.entries;
        let oldest = first.first().and_then(|entry| entry.orders.first());
        let oldest_ms = oldest.map_or(0, |order| now_ms().saturating_sub(order.accepted_at_ms));
        let oldest_s = oldest_ms as f64 / 1000.0;
        self.kept.gauge(&figure::peak("outbox", "oldest_s"), oldest_s);
        sample.metrics.insert("oldest order without a settled row, s".to_owned(), oldest_s);
        Ok(())
    }

    /// The counters and gauges of gateway, worker, database and Redis.
    async fn counters(&mut self, sample: &mut Sample) -> anyhow::Result<()> {
        for (process, ops) in ROLES.into_iter().zip(self.ops) {
            for metric in scrape::scrape(ops).await.with_context(|| format!("metrics of the {process}"))? {
                if metric.grows {
                    self.kept.counter(figure::growth(process, &metric.name), metric.value);
                } else {
                    self.kept.gauge(&figure::peak(process, &metric.name), metric.value);
                }
            }
        }
        let looked = self.sql.look().await?;
        looked
            .gauges
            .iter()
            .for_each(|(name, value)| self.kept.gauge(&figure::peak("mariadb", name), *value));
        for (name, value) in looked.counters {
            self.kept.counter(figure::growth("mariadb", &name), value);
        }
        for (role, pool) in looked.pools {
            self.kept.gauge(&figure::pool_peak(&role), pool.open);
            self.kept.gauge(&figure::pool_busy_peak(&role), pool.busy);
            self.kept.count(&figure::pool_full(&role), pool.busy >= f64::from(self.pool_max));
            sample.metrics.insert(format!("SQL connections of the {role} in a statement"), pool.busy);
        }
        let info: String = redis::cmd("INFO").query_async(&mut self.ledger.connection()).await?;
        for (name, value) in scrape::info(&info) {
            if REDIS_GAUGES.contains(&name) {
                self.kept.gauge(&figure::peak("redis", name), value);
            } else if REDIS_COUNTERS.contains(&name) {
                self.kept.counter(figure::growth("redis", name), value);
            }
        }
        Ok(())
    }
}

impl Sampling {
    /// Stops it: what was seen.
    ///
    /// # Errors
    /// When the database or the broker cannot be asked now.
    pub async fn end(self, ring: &Ring) -> anyhow::Result<Seen> {
        self.stop.send_replace(true);
        let (sampler, samples) = self.task.await?.context("look at the servers")?;
        let mut figures = sampler.kept.figures();
        figures.extend(sampler.sql.rows().await?);
        for role in ROLES {
            figures.insert(figure::pool_max(role), f64::from(sampler.pool_max));
        }
        // One of each is ours.
        let lines = |what: &str| -> anyhow::Result<f64> {
            let said = ring.stack.rabbit.ctl(&["--quiet", what, "pid"])?;
            Ok(said.lines().filter(|line| line.starts_with('<')).count().saturating_sub(1) as f64)
        };
        figures.insert(figure::peak("rabbitmq", "connections"), lines("list_connections")?);
        figures.insert(figure::peak("rabbitmq", "channels"), lines("list_channels")?);
        Ok(Seen { samples, figures, failed: sampler.failed })
    }
}
