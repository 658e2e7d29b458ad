//! How a peer tells its runner that it is ready, and how it ends.

use std::fmt::Display;
use std::io::{self, Write};

use tokio::signal::unix::{SignalKind, signal};

/// Prints `listening on ADDR` on standard output.
///
/// # Errors
/// Nobody reads standard output any more.
pub fn announce(address: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {address}")?;
    out.flush()
}

/// Resolves at SIGTERM or SIGINT.
///
/// # Errors
/// The signals cannot be caught.
pub async fn terminated() -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
