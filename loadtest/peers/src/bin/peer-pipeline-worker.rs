//! The worker of the conventional pipeline.

use clap::Parser;
use spike_domain::EventId;
use spike_peers::lifecycle::{announce, terminated};
use spike_peers::pipeline::Worker;
use spike_peers::queue::QUEUE;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One transaction a row, one acknowledgement a message.
#[derive(Parser)]
struct Arguments {
    /// The broker.
    #[arg(long)]
    amqp: String,
    /// The database, migrated, with the event in it.
    #[arg(long)]
    database: String,
    /// The event whose orders are written.
    #[arg(long)]
    event: EventId,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { amqp, database, event } = Arguments::parse();
    let worker = Worker::connect(&amqp, &database, event).await?;
    announce(format_args!("queue {QUEUE}"))?;
    tokio::select! {
        ended = worker.run() => ended,
        signalled = terminated() => Ok(signalled?),
    }
}
