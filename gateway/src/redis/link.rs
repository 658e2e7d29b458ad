//! One pipelined connection of one core to Redis.
//!
//! Calls made in the same turn of the event loop leave in one write; replies come back in order and wake their callers.
//! A call that takes too long is answered `Unknown` and keeps its place in the queue (a tombstone), or later replies
//! would reach the wrong callers. No timer a call: the core's tick looks at the oldest one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt, Splitable};
use monoio::net::TcpStream;
use spike_config::RedisEndpoint;
use spike_stock::reserve::bulk;

use super::once::{Receiver, Sender, once};
use super::resp::{Reader, Reply};

/// Bytes that may wait for the writer; beyond it Redis takes less than we ask, and calls are refused rather than queued.
const OUT_MAX: usize = 1 << 20;

/// Why a call has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The connection was down before the call left: nothing happened.
    #[error("no connection to Redis")]
    Down,
    /// The call left and no reply came, in time or at all: it may have happened.
    #[error("no answer from Redis")]
    Unknown,
}

struct Waiter {
    /// `None`: a tombstone, its caller has been told.
    reply: Option<Sender<Result<Reply, LinkError>>>,
    since_ms: u64,
}

#[derive(Default)]
struct State {
    /// Encoded calls that have not left yet.
    out: Vec<u8>,
    /// How many of the newest waiters belong to `out`.
    unsent: usize,
    waiters: VecDeque<Waiter>,
    writer: Option<Sender<()>>,
    up: bool,
    /// Dropped to make the present connection end, whatever its reader and writer are waiting for. `None`: given up.
    breaker: Option<Sender<()>>,
}

/// A core's connection; clones share it.
#[derive(Clone)]
pub struct Link {
    state: Rc<RefCell<State>>,
    now_ms: Rc<Cell<u64>>,
    closed: Rc<Cell<bool>>,
}

/// How many replicas must have what a call wrote, and how long that may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copies {
    /// Replicas, at least 1.
    pub replicas: u32,
    /// Milliseconds.
    pub timeout_ms: u64,
}

/// A reply, and whether as many replicas as wanted have what had been written by then.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// The reply.
    pub reply: Reply,
    /// Always true where no replicas are wanted.
    pub copied: bool,
}

impl Link {
    /// A link that [`Link::run`] keeps connected.
    pub fn new() -> Self {
        Self { state: Rc::default(), now_ms: Rc::default(), closed: Rc::default() }
    }

    /// Whether calls can be made.
    pub fn up(&self) -> bool {
        self.state.borrow().up
    }

    /// Sends one command, written by `encode` as RESP, and waits for its reply.
    pub async fn call(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<Reply, LinkError> {
        match self.send(encode) {
            Some(reply) => reply.await.unwrap_or(Err(LinkError::Unknown)),
            None => Err(LinkError::Down),
        }
    }

    /// [`Link::call`] in one write with what goes before and after it: `ASKING`, so that a node takes a call about a slot
    /// that is on its way to it; `WAIT`, whose answer says how many replicas have the call's writes and all before them.
    pub async fn call_kept(
        &self,
        asking: bool,
        encode: impl FnOnce(&mut Vec<u8>),
        copies: Option<Copies>,
    ) -> Result<Kept, LinkError> {
        if asking {
            // Its answer is nobody's business.
            drop(self.send(|out| command(out, &[b"ASKING"])).ok_or(LinkError::Down)?);
        }
        let reply = self.send(encode).ok_or(LinkError::Down)?;
        let copied = copies.map(|copies| (copies.replicas, self.send(|out| wait(out, copies))));
        let reply = reply.await.unwrap_or(Err(LinkError::Unknown))?;
        let copied = match copied {
            // An error: nothing was written.
            _ if matches!(reply, Reply::Error(_)) => true,
            None => true,
            Some((_, None)) => false,
            Some((wanted, Some(copied))) => {
                matches!(copied.await, Some(Ok(Reply::Number(have))) if have >= i64::from(wanted))
            }
        };
        Ok(Kept { reply, copied })
    }

    /// Ends the connection for good; what is under way on it is answered [`LinkError::Unknown`].
    pub fn close(&self) {
        self.closed.set(true);
        drop(self.state.borrow_mut().breaker.take());
    }

    /// Queues one command; `None` while the connection is down, given up, or too far behind.
    fn send(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Option<Receiver<Result<Reply, LinkError>>> {
        let mut state = self.state.borrow_mut();
        if !state.up || state.breaker.is_none() || state.out.len() > OUT_MAX {
            return None;
        }
        encode(&mut state.out);
        let (reply, receiver) = once();
        state.waiters.push_back(Waiter { reply: Some(reply), since_ms: self.now_ms.get() });
        state.unsent += 1;
        drop(state.writer.take()); // wakes the writer
        Some(receiver)
    }

    /// Called by the core's tick: answers calls older than `timeout_ms` and gives the connection up when its oldest call
    /// is three times as old, for then it is half open.
    pub fn tick(&self, now_ms: u64, timeout_ms: u64) {
        self.now_ms.set(now_ms);
        let mut late = Vec::new();
        let mut state = self.state.borrow_mut();
        for waiter in &mut state.waiters {
            if now_ms.saturating_sub(waiter.since_ms) <= timeout_ms {
                break;
            }
            late.extend(waiter.reply.take());
        }
        if state.waiters.front().is_some_and(|oldest| now_ms.saturating_sub(oldest.since_ms) > 3 * timeout_ms)
        {
            drop(state.breaker.take());
        }
        drop(state);
        late.into_iter().for_each(|reply| reply.send(Err(LinkError::Unknown)));
    }

    /// Connects, serves, and connects again with growing pauses, until it is closed. `on_up` is told of every connection.
    pub async fn run(&self, endpoint: &RedisEndpoint, connect_timeout: Duration, on_up: impl Fn()) {
        let mut failures: u32 = 0;
        while !self.closed.get() {
            match self.session(endpoint, connect_timeout, &on_up).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    // Every core and gateway retries: say it once per outage and then rarely.
                    if failures.is_power_of_two() {
                        tracing::warn!(%error, failures, redis = %endpoint.host, "no connection to Redis");
                    }
                }
            }
            let ceiling = 50u64 << failures.min(5);
            monoio::time::sleep(Duration::from_millis(10 + fastrand::u64(0..ceiling))).await;
        }
    }

    /// One connection from handshake to end. `Ok` if it was up at all.
    async fn session(
        &self,
        endpoint: &RedisEndpoint,
        connect_timeout: Duration,
        on_up: &impl Fn(),
    ) -> std::io::Result<()> {
        let stream = reach(endpoint, connect_timeout).await?;
        if self.closed.get() {
            return Ok(());
        }
        let (mut read, mut write) = stream.into_split();
        let (breaker, broken) = once();
        *self.state.borrow_mut() = State { up: true, breaker: Some(breaker), ..State::default() };
        on_up();
        let ended = monoio::select! {
            ended = self.write_calls(&mut write) => ended,
            ended = self.read_replies(&mut read) => ended,
            // A writer that hangs in a half-open connection looks at nothing else.
            _ = broken => Err(std::io::ErrorKind::TimedOut.into()),
        };
        self.fail_all();
        if let Err(error) = ended {
            tracing::info!(%error, "connection to Redis ended");
        }
        Ok(())
    }

    /// Writes whatever has gathered, then waits for more.
    async fn write_calls(&self, write: &mut monoio::net::tcp::TcpOwnedWriteHalf) -> std::io::Result<()> {
        let mut spare = Vec::with_capacity(16 << 10);
        loop {
            let wait = {
                let mut state = self.state.borrow_mut();
                if state.out.is_empty() {
                    let (sender, receiver) = once();
                    state.writer = Some(sender);
                    Some(receiver)
                } else {
                    state.unsent = 0;
                    std::mem::swap(&mut state.out, &mut spare);
                    None
                }
            };
            if let Some(woken) = wait {
                woken.await;
                continue;
            }
            let (result, buffer) = write.write_all(spare).await;
            result?;
            spare = buffer;
            spare.clear();
        }
    }

    async fn read_replies(&self, read: &mut monoio::net::tcp::TcpOwnedReadHalf) -> std::io::Result<()> {
        let mut reader = Reader::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let (result, back) = read.read(buffer).await;
            buffer = back;
            match result? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => reader.push(&buffer[..n]),
            }
            while let Some(reply) = reader.next_reply().map_err(std::io::Error::other)? {
                let waiter = self.state.borrow_mut().waiters.pop_front();
                let waiter = waiter.ok_or_else(|| std::io::Error::other("a reply that nobody asked for"))?;
                if let Some(caller) = waiter.reply {
                    caller.send(Ok(reply));
                }
            }
        }
    }

    /// The connection is gone: calls that had not left are `Down`, all others `Unknown`.
    fn fail_all(&self) {
        let state = std::mem::take(&mut *self.state.borrow_mut());
        let sent = state.waiters.len() - state.unsent;
        for (at, waiter) in state.waiters.into_iter().enumerate() {
            let error = if at < sent { LinkError::Unknown } else { LinkError::Down };
            if let Some(caller) = waiter.reply {
                caller.send(Err(error));
            }
        }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

/// Appends a command of plain words as RESP.
pub fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.push(b'*');
    out.extend_from_slice(itoa::Buffer::new().format(words.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    words.iter().for_each(|word| bulk(out, word));
}

fn wait(out: &mut Vec<u8>, copies: Copies) {
    let (mut replicas, mut timeout_ms) = (itoa::Buffer::new(), itoa::Buffer::new());
    let words = [
        &b"WAIT"[..],
        replicas.format(copies.replicas).as_bytes(),
        timeout_ms.format(copies.timeout_ms).as_bytes(),
    ];
    command(out, &words);
}

/// Asks a server one thing on a connection of its own, within `timeout` for each of its addresses and the answer.
///
/// # Errors
/// It cannot be reached, does not answer in time, or refuses the credentials.
pub async fn ask(endpoint: &RedisEndpoint, timeout: Duration, words: &[&[u8]]) -> std::io::Result<Reply> {
    let mut stream = reach(endpoint, timeout).await?;
    let answer = async {
        let mut question = Vec::new();
        command(&mut question, words);
        stream.write_all(question).await.0?;
        let mut reader = Reader::default();
        let mut buffer = vec![0; 16 << 10];
        loop {
            let (result, back) = stream.read(buffer).await;
            buffer = back;
            match result? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => reader.push(&buffer[..n]),
            }
            if let Some(reply) = reader.next_reply().map_err(std::io::Error::other)? {
                return Ok(reply);
            }
        }
    };
    monoio::time::timeout(timeout, answer).await.map_err(|_| std::io::ErrorKind::TimedOut)?
}

/// Connects to the first address of the server that answers; each may take `timeout`.
async fn reach(endpoint: &RedisEndpoint, timeout: Duration) -> std::io::Result<TcpStream> {
    let mut failed = std::io::Error::other("the name has no address");
    for address in resolve(endpoint).await? {
        match monoio::time::timeout(timeout, connect(endpoint, address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// The addresses of the server. A name is looked up on a thread of its own: the resolver blocks for seconds when its
/// server is away, and everything on this core would wait with it. There is never more than one such thread a core.
async fn resolve(endpoint: &RedisEndpoint) -> std::io::Result<Vec<SocketAddr>> {
    if let Ok(address) = endpoint.host.parse::<IpAddr>() {
        return Ok(vec![(address, endpoint.port).into()]);
    }
    let (sender, found) = tokio::sync::oneshot::channel();
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    std::thread::Builder::new().name("resolver".to_owned()).spawn(move || {
        // Fails only when the core has gone meanwhile.
        let _ = sender.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect));
    })?;
    found.await.map_err(std::io::Error::other)?
}

/// Connects and says who we are: AUTH, SELECT, CLIENT SETNAME. An error reply to any of them is an error here.
async fn connect(endpoint: &RedisEndpoint, address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_addr(address).await?;
    stream.set_nodelay(true)?;
    let mut hello = Vec::new();
    let mut expected = 1;
    if let Some(password) = &endpoint.password {
        let user = endpoint.user.as_deref().unwrap_or("default");
        command(&mut hello, &[b"AUTH", user.as_bytes(), password.expose().as_bytes()]);
        expected += 1;
    }
    if endpoint.database != 0 {
        command(&mut hello, &[b"SELECT", endpoint.database.to_string().as_bytes()]);
        expected += 1;
    }
    command(&mut hello, &[b"CLIENT", b"SETNAME", b"spike-gateway-hot"]);
    stream.write_all(hello).await.0?;
    let mut reader = Reader::default();
    let mut buffer = vec![0; 1024];
    while expected > 0 {
        let (result, back) = stream.read(buffer).await;
        buffer = back;
        match result? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => reader.push(&buffer[..n]),
        }
        while let Some(reply) = reader.next_reply().map_err(std::io::Error::other)? {
            if let Reply::Error(text) = reply {
                return Err(std::io::Error::other(String::from_utf8_lossy(&text).into_owned()));
            }
            expected -= 1;
        }
    }
    Ok(stream)
}

#[cfg(test)]
mod tests;
