//! Accepting, and the drain: unready first, still accepting, then closing, then waiting for what is in hand.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use monoio::io::AsyncWriteRentExt;
use monoio::net::{TcpListener, TcpStream};
use spike_telemetry::Counter;

use super::connection::Fresh;
use super::{Core, connection, proxy};
use crate::shared::DrainPhase;

/// How often a draining core looks whether it is done.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Longest emptying of the backlog: others may connect as fast as we accept.
const BACKLOG_MS: u64 = 100;
/// How long a connection that has asked nothing yet may still do so while the core drains.
const FRESH_MS: u64 = 500;

const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 80\r\n\
retry-after: 1\r\nconnection: close\r\n\r\n{\"code\":1091,\"reason\":\"overloaded\",\"message\":\"Too many connections; try again.\"}";

/// Opens this core's own listener on the shared address.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: std::net::SocketAddr, backlog: i32) -> std::io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Accepts until the drain closes the listener, then waits for open connections until the drain's deadline.
///
/// # Errors
/// When the listener cannot be taken over by the runtime.
pub async fn accept_until_drained(core: &Rc<Core>, listener: std::net::TcpListener) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    while core.shared.drain.phase() < DrainPhase::Closing {
        monoio::select! {
            accepted = listener.accept() => take(core, accepted).await,
            () = monoio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    // What has reached the backlog is lost with the listener, so it is taken first.
    let closing_ms = core.shared.clock.read().mono_ms();
    let since_ms = |since_ms: u64| core.shared.clock.read().mono_ms().saturating_sub(since_ms);
    while since_ms(closing_ms) < BACKLOG_MS
        && let Ok(accepted) = monoio::time::timeout(Duration::from_millis(1), listener.accept()).await
    {
        take(core, accepted).await;
    }
    drop(listener);
    let mut fresh = Fresh::Spared;
    core.connections.drain(fresh);
    let closed_ms = core.shared.clock.read().mono_ms();
    while !core.connections.is_empty() && core.shared.drain.phase() < DrainPhase::Over {
        monoio::time::sleep(DRAIN_POLL).await;
        if fresh == Fresh::Spared && since_ms(closed_ms) >= FRESH_MS {
            fresh = Fresh::Told;
            core.connections.drain(fresh);
        }
    }
    let left = core.connections.len();
    tracing::info!(core = core.number, left, "core drained");
    Ok(())
}

async fn take(core: &Rc<Core>, accepted: std::io::Result<(TcpStream, std::net::SocketAddr)>) {
    let (mut stream, peer) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            // Out of descriptors, or a peer that left already. The pause keeps a full table from spinning the core.
            tracing::warn!(core = core.number, %error, "accept failed");
            monoio::time::sleep(Duration::from_millis(5)).await;
            return;
        }
    };
    let Some(seat) = core.shared.connections.take() else {
        core.count(Counter::ConnectionsRefused, 1);
        monoio::spawn(async move {
            let _ = monoio::time::timeout(Duration::from_secs(1), stream.write_all(TOO_MANY)).await;
        });
        return;
    };
    // Fails only on a socket that is already gone; serving it will say so.
    let _ = stream.set_nodelay(true);
    core.count(Counter::ConnectionsAccepted, 1);
    core.count(Counter::ConnectionsOpen, 1);
    let serving = core.clone();
    monoio::spawn(async move {
        let _seat = seat;
        if let Some(peer) = client_of(&serving, &mut stream, canonical(peer.ip())).await {
            connection::serve(serving.clone(), stream, peer).await;
        }
        serving.metrics.subtract(Counter::ConnectionsOpen, 1);
    });
}

/// The peer, or whom a trusted proxy names before the first request. `None`: it should and did not, in time or at all.
async fn client_of(core: &Core, stream: &mut TcpStream, peer: IpAddr) -> Option<IpAddr> {
    let http = &core.shared.config.http;
    if !http.proxy_protocol || !http.trusted_proxies.iter().any(|block| block.contains(peer)) {
        return Some(peer);
    }
    let deadline = Duration::from_millis(http.header_timeout_ms);
    match monoio::time::timeout(deadline, proxy::client(stream)).await {
        Ok(Ok(named)) => Some(named.map_or(peer, canonical)),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "no PROXY protocol header");
            None
        }
        Err(_) => {
            core.count(Counter::ConnectionsTimedOut, 1);
            None
        }
    }
}

/// An IPv4 client of a dual-stack socket is the same client as of an IPv4 socket.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_prebuilt_refusal_states_its_true_length() {
        let text = std::str::from_utf8(super::TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "body has {} bytes", body.len());
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
