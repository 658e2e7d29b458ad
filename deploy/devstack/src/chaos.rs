//! A TCP proxy that breaks connections the way networks do, between a client and one of the servers.
//!
//! A killed server tells its clients at once; a network does not. This stands in for one: it can cut (reset and refuse),
//! blackhole (nothing arrives, nobody is told), lose one direction only (a half-open connection), or delay. Bytes held
//! back are delivered when the fault is healed, as TCP's retransmission would.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

/// How often a thread that waits for bytes looks whether its connection has been cut.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest wait for the server behind the proxy to take a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// What is wrong with the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Healed,
    /// Connections are reset and new ones refused.
    Cut,
    /// Connections stay and new ones are taken, but nothing arrives on either side.
    Blackhole,
    /// What the client sends arrives; what the server answers does not.
    AnswersLost,
    /// What the client sends does not arrive; what the server has to say does.
    RequestsLost,
    /// Every piece arrives so much later.
    Delay(Duration),
}

/// A proxy in front of one server. Dropping it cuts everything and closes its port.
#[derive(Debug)]
pub struct ChaosProxy {
    address: SocketAddr,
    network: Arc<Network>,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

#[derive(Debug)]
struct Network {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    fault: Fault,
    /// Connections of an older generation have been cut.
    generation: u64,
    over: bool,
}

/// A piece's connection was cut while it waited.
struct WasCut;

impl ChaosProxy {
    /// Listens on a free loopback port and passes connections on to `server`, which may come and go.
    ///
    /// # Errors
    /// No free port, or no thread to be had.
    pub fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let port = crate::free_port()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("bind the proxy's port")?;
        let address = listener.local_addr()?;
        let state = Mutex::new(State { fault: Fault::Healed, generation: 0, over: false });
        let network = Arc::new(Network { state, changed: Condvar::new() });
        let accepting = network.clone();
        let accept = move || accept(&listener, server, &accepting);
        std::thread::Builder::new().name("chaos".into()).spawn(accept)?;
        Ok(Self { address, network })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Plants a fault for connections that are there and for those to come, until the next call.
    pub fn set(&self, fault: Fault) {
        self.network.set(fault, false);
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.network.set(Fault::Cut, true);
        // Wakes the thread that accepts, which then sees that it is over.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT);
    }
}

impl Network {
    fn set(&self, fault: Fault, over: bool) {
        let mut state = self.state();
        state.fault = fault;
        state.over |= over;
        if fault == Fault::Cut {
            state.generation += 1;
        }
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self, generation: u64) -> bool {
        self.state().generation != generation
    }

    /// Waits until a piece that came at `since` may go on.
    fn pass(&self, way: Way, generation: u64, since: Instant) -> Result<(), WasCut> {
        let mut state = self.state();
        loop {
            if state.generation != generation {
                return Err(WasCut);
            }
            let rest = match (state.fault, way) {
                (Fault::Blackhole, _)
                | (Fault::AnswersLost, Way::ToClient)
                | (Fault::RequestsLost, Way::ToServer) => None,
                (Fault::Delay(by), _) => Some(by.saturating_sub(since.elapsed())),
                _ => Some(Duration::ZERO),
            };
            state = match rest {
                Some(Duration::ZERO) => return Ok(()),
                Some(rest) => {
                    self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

fn accept(listener: &TcpListener, server: SocketAddr, network: &Arc<Network>) {
    for client in listener.incoming() {
        let (fault, generation, over) = {
            let state = network.state();
            (state.fault, state.generation, state.over)
        };
        if over {
            return;
        }
        let Ok(client) = client else { continue };
        // A connection that cannot be had is reset, as the server itself would have done.
        reset_when_closed(&client);
        if fault == Fault::Cut {
            continue;
        }
        if let Ok(server) = TcpStream::connect_timeout(&server, CONNECT) {
            let _ = join(client, server, network, generation);
        }
    }
}

/// Starts both directions of a connection.
fn join(
    client: TcpStream,
    server: TcpStream,
    network: &Arc<Network>,
    generation: u64,
) -> std::io::Result<()> {
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK_EVERY))?;
    }
    reset_when_closed(&server);
    let back = (server.try_clone()?, client.try_clone()?);
    for (way, (from, to)) in [(Way::ToServer, (client, server)), (Way::ToClient, back)] {
        let network = network.clone();
        let pump = move || pump(from, to, way, &network, generation);
        std::thread::Builder::new().name("chaos-pump".into()).spawn(pump)?;
    }
    Ok(())
}

/// Carries bytes one way until an end closes or the connection is cut.
fn pump(mut from: TcpStream, mut to: TcpStream, way: Way, network: &Network, generation: u64) {
    let mut piece = vec![0; 64 * 1024];
    loop {
        match from.read(&mut piece) {
            Ok(0) => {
                if network.pass(way, generation, Instant::now()).is_ok() {
                    let _ = to.shutdown(Shutdown::Write);
                }
                return;
            }
            Ok(bytes) => {
                let came = Instant::now();
                if network.pass(way, generation, came).is_err() {
                    return;
                }
                if to.write_all(&piece[..bytes]).is_err() {
                    return end_both(&from, &to);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if network.cut(generation) {
                    return;
                }
            }
            Err(_) => return end_both(&from, &to),
        }
    }
}

/// An end that has reset the connection has reset it for both: a server must not wait for a client that is gone.
fn end_both(from: &TcpStream, to: &TcpStream) {
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Lets the last close of a stream send a reset in place of a polite end.
fn reset_when_closed(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).expect("a few bytes");
    // SAFETY: the descriptor is open for as long as `stream` is borrowed, and the option's value is a `linger`.
    let done = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        )
    };
    debug_assert_eq!(done, 0, "a linger of zero is always taken");
}
