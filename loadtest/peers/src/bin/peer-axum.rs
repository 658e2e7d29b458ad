//! The conventional service. Limits and tokens come from `SPIKE_*`, as in the gateway.

use std::net::SocketAddr;

use clap::Parser;
use spike_config::Config;
use spike_domain::EventId;
use spike_peers::lifecycle::{announce, terminated};
use spike_peers::service::{Selling, router, serve};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// axum, a Redis ConnectionManager, jsonwebtoken and governor.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// The ledger's Redis.
    #[arg(long)]
    redis: String,
    /// The event that is sold.
    #[arg(long)]
    event: EventId,
    /// The epoch of its ledger.
    #[arg(long)]
    epoch: u64,
    /// Publish each accepted order here and wait for the confirm before the answer.
    #[arg(long)]
    amqp: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen, redis, event, epoch, amqp } = Arguments::parse();
    let config = Config::from_process(None)?;
    let selling = Selling { redis: &redis, event, epoch, amqp: amqp.as_deref() };
    let router = router(&config, &selling).await?;
    let listener = TcpListener::bind(listen).await?;
    announce(listener.local_addr()?)?;
    let shutdown = async {
        // Without signals it runs until it is killed.
        if terminated().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    serve(listener, router, shutdown).await
}
