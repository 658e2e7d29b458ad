//! How a process is told to leave: SIGTERM or SIGINT once to drain, twice to leave at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from now on; the future is ready at the first signal, and a second one ends the process.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn told() -> io::Result<impl Future<Output = ()>> {
    let mut signals =
        Signals { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
    Ok(async move {
        let name = signals.next().await.0;
        tracing::info!("{name}: draining; a second signal leaves at once");
        tokio::spawn(async move {
            let (name, number) = signals.next().await;
            tracing::warn!("{name} again: leaving without a drain");
            // As a shell would report a process that the signal killed.
            std::process::exit(128 + number);
        });
    })
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.term.recv() => ("SIGTERM", libc::SIGTERM),
            _ = self.int.recv() => ("SIGINT", libc::SIGINT),
        }
    }
}
