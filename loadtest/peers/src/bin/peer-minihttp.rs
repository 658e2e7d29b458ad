//! may_minihttp with an empty answer or the sold-out refusal.

use std::net::SocketAddr;

use clap::Parser;
use spike_domain::EventId;
use spike_peers::lifecycle::{announce, terminated};
use spike_peers::minihttp::{Mode, start};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The floor of what an HTTP answer costs.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// What to answer.
    #[arg(long, value_enum)]
    mode: Mode,
    /// The event that is sold out.
    #[arg(long)]
    event: EventId,
    /// Threads that run coroutines.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    start(arguments.listen, arguments.mode, arguments.event, arguments.threads)?;
    announce(arguments.listen)?;
    Ok(terminated().await?)
}
