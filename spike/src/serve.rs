//! `spike serve`: gateway and worker in one process. What has no server is embedded, in a data folder of its own.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use spike_backends::{Backends, DataFolder};
use spike_broker::{Broker, Queue};
use spike_config::{Config, Profile, Role};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::outcome::Misuse;
use crate::{first_admin, seed, settings, shutdown};

/// The longest the worker may take for what the gateway's last relay window left in the queue. More is no loss: it stays in
/// the outbox.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// What to start with.
#[derive(clap::Args)]
pub struct Args {
    /// Start with an admin, a product and a sale that opens in 10 s, and print how to buy (profiles dev and staging).
    #[arg(long)]
    seed: bool,
}

/// Serves until a signal, then drains the gateway, its relay and the worker, in this order.
pub fn run(file: Option<&Path>, args: &Args) -> anyhow::Result<ExitCode> {
    let config = settings::load_for(Role::Serve, file)?;
    if args.seed && config.profile == Profile::Prod {
        return Err(Misuse("--seed makes an admin whose password is printed: not in prod".to_owned()).into());
    }
    first_admin::check(&config)?;
    // Held until the process ends.
    let folder = DataFolder::take(&config)?;
    // Each connection is a file, and the usual soft limit is 1024 of them.
    let files = loadtest::open_files::raise()?;
    tracing::info!(
        files,
        ledger = %config.redis.url,
        queue = %config.amqp.url,
        database = %config.database.url,
        data = folder.as_ref().map(|_| config.data.dir.display().to_string()),
        "serving in one process"
    );
    let runtime = Builder::new_multi_thread()
        .worker_threads(config.sidecar.threads)
        .thread_name("sidecar")
        .enable_all()
        .build()?;
    runtime.block_on(serve(config, args.seed))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Arc<Config>, seeded: bool) -> anyhow::Result<()> {
    let told = shutdown::told()?;
    let backends = Backends::connect(&config)?;
    if config.database.url.is_embedded() {
        // There is nobody else who could; a server's schema is changed by `spike migrate` only.
        backends.store.migrate().await.context("the embedded database")?;
    }
    let store = backends.store.clone();
    first_admin::check_public(&config, &store).await?;
    let first = tokio::spawn(first_admin::ensure(config.clone(), store.clone()));
    let seed = seeded.then(|| tokio::spawn(seed::sow(config.clone(), store.clone())));
    let ended = tokio::select! {
        ended = both(config.clone(), backends, told) => ended,
        refused = first_admin::refuse_public(&config, &store) => Err(refused),
    };
    seed.inspect(tokio::task::JoinHandle::abort);
    first.abort();
    store.close().await;
    ended
}

/// Gateway and worker until `shutdown`, or until one of them ends by itself.
async fn both(
    config: Arc<Config>,
    backends: Backends,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let (stop_worker, told) = oneshot::channel::<()>();
    // A sender that is dropped says stop as well.
    let told = async { drop(told.await) };
    let mut worker = tokio::spawn(spike_worker::run(config.clone(), backends.clone(), told));
    let mut early = None;
    let ledger = backends.stock.clone();
    let mut broken = false;
    let queue = match &backends.broker {
        Broker::InProcess(queue) => Some(queue.clone()),
        Broker::Amqp { .. } => None,
    };
    let gateway = {
        let worker_ends = async { early = Some((&mut worker).await) };
        let shutdown = async {
            tokio::select! {
                () = shutdown => {}
                () = worker_ends => tracing::error!("the worker has ended by itself; leaving"),
                () = ledger.failed() => broken = true,
            }
        };
        spike_gateway::run(config, backends, shutdown).await
    };
    if early.is_none()
        && let Some(queue) = queue
    {
        empty(&queue).await;
    }
    drop(stop_worker);
    let worker = match early {
        Some(ended) => ended,
        None => worker.await,
    };
    gateway.context("the gateway")?;
    anyhow::ensure!(!broken, "the ledger's disk has failed; start again once it is mended");
    worker.context("the worker panicked")?.context("the worker")
}

/// Waits until the worker has done what is in the queue, for a moment.
async fn empty(queue: &Queue) {
    let all = async {
        while queue.depth().ready + queue.depth().in_hand > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(QUEUE_PATIENCE, all).await.is_err() {
        tracing::info!(depth = ?queue.depth(), "leaving with messages in the queue; the outbox keeps their orders");
    }
}
