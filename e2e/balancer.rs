//! What stands in front of gateways: each new connection goes to the next one that says it is ready.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::http;

/// A gateway that does not answer its probe in this time gets no connection.
const PROBE: Duration = Duration::from_secs(2);

/// A gateway behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Where buyers connect.
    pub http: SocketAddr,
    /// Where it is asked whether it is ready.
    pub ops: SocketAddr,
}

/// Connections that are open stay where they are until an end closes them. It takes no new ones when dropped.
pub struct Balancer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    targets: Mutex<Vec<Target>>,
    next: AtomicUsize,
    over: AtomicBool,
}

impl Balancer {
    /// In front of these.
    pub fn start(targets: &[Target]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let targets = Mutex::new(targets.to_vec());
        let shared = Arc::new(Shared { targets, next: AtomicUsize::new(0), over: AtomicBool::new(false) });
        let of_thread = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of_thread.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = of_thread.clone();
                thread::spawn(move || shared.serve(&client));
            }
        });
        Self { address, shared }
    }

    /// Where buyers connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes one more gateway into the round.
    pub fn add(&self, target: Target) {
        self.shared.targets.lock().unwrap_or_else(PoisonError::into_inner).push(target);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the listener; that it may be gone already changes nothing.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// A client that nobody is ready for is hung up on.
    fn serve(&self, client: &TcpStream) {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..targets.len()).map(|step| targets[(first + step) % targets.len()]);
        let ready = |target: &Target| {
            http::try_call_within(target.ops, "/readyz", PROBE).is_some_and(|answer| answer.status == 200)
        };
        let gateway =
            in_turn.filter(ready).find_map(|target| TcpStream::connect_timeout(&target.http, PROBE).ok());
        if let Some(gateway) = gateway {
            join(client, &gateway);
        }
    }
}

/// Carries bytes both ways until both have said that there are no more.
fn join(client: &TcpStream, gateway: &TcpStream) {
    let carry = |mut from: &TcpStream, mut to: &TcpStream| {
        // A peer that is gone ends both directions.
        let ended = io::copy(&mut from, &mut to);
        let _ = to.shutdown(if ended.is_ok() { Shutdown::Write } else { Shutdown::Both });
    };
    for stream in [client, gateway] {
        // Latency is not what is tested; a system that cannot do it still carries every byte.
        let _ = stream.set_nodelay(true);
    }
    thread::scope(|scope| {
        scope.spawn(|| carry(client, gateway));
        carry(gateway, client);
    });
}
