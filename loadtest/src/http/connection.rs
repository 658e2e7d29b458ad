//! One keep-alive connection: a write, about one read, and a deadline that costs no timer a request.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{BadResponse, Parser, Request, Response};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection: the request was not sent.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The deadline passed before there was a connection: the request was not sent.
    #[error("no connection before the deadline")]
    ConnectTimeout,
    /// The deadline passed before the answer was complete.
    #[error("no answer before the deadline")]
    Timeout,
    /// The server closed before the answer was complete.
    #[error("the server closed before its answer was complete")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[source] io::Error),
    /// The answer is not HTTP/1.1.
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] BadResponse),
}

impl SendError {
    /// Whether the server may have seen the request, so that its effect is unknown.
    pub fn may_have_arrived(&self) -> bool {
        !matches!(self, Self::Connect(_) | Self::ConnectTimeout)
    }

    /// One stable word for counting.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::ConnectTimeout | Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Io(_) => "broken",
            Self::Malformed(_) => "malformed-answer",
        }
    }
}

/// A connection to one server from one source address, opened again by itself when the server has closed it.
#[derive(Debug)]
pub struct Connection {
    addr: SocketAddr,
    source: Option<Ipv4Addr>,
    deadline: Duration,
    alarm: Alarm,
    stream: Option<TcpStream>,
    /// Set while an answer is owed, so that a dropped `send` cannot leave its answer to the next request.
    owed: bool,
    buffer: Vec<u8>,
    parser: Parser,
}

impl Connection {
    /// A connection that opens at its first request. `deadline` is for each request, connecting included;
    /// `source` is the local address, for example one of 127.0.0.0/8.
    pub fn new(addr: SocketAddr, source: Option<Ipv4Addr>, deadline: Duration) -> Self {
        Self {
            addr,
            source,
            deadline,
            alarm: Alarm::default(),
            stream: None,
            owed: false,
            buffer: Vec::with_capacity(1024),
            parser: Parser::default(),
        }
    }

    /// A connection that is open.
    pub async fn connect(
        addr: SocketAddr,
        source: Option<Ipv4Addr>,
        deadline: Duration,
    ) -> Result<Self, SendError> {
        let mut connection = Self::new(addr, source, deadline);
        connection.open().await?;
        Ok(connection)
    }

    /// Opens the connection unless it is open already.
    pub async fn open(&mut self) -> Result<(), SendError> {
        let due = Instant::now() + self.deadline;
        self.open_by(due).await
    }

    /// Sends `request` and waits for its answer until the deadline. A connection that the server closed while it
    /// idled is opened anew; a request that may have reached the server is never sent twice.
    pub async fn send(&mut self, request: &Request) -> Result<Response<'_>, SendError> {
        self.send_by(request, Instant::now() + self.deadline).await
    }

    /// The same with a deadline of the request's own, `due`, which must not lie before that of an earlier request.
    pub async fn send_by(&mut self, request: &Request, due: Instant) -> Result<Response<'_>, SendError> {
        self.open_by(due).await?;
        self.buffer.clear();
        self.parser.reset();
        self.owed = true;
        let exchange = exchange(
            self.stream.as_mut().expect("opened above"),
            request.as_bytes(),
            &mut self.buffer,
            &mut self.parser,
        );
        let done = self.alarm.guard(due, exchange).await.unwrap_or(Err(SendError::Timeout));
        if done.is_err() {
            self.stream = None;
        }
        done?;
        self.owed = false;
        // Bytes behind the answer were never asked for: whatever comes next could not be told apart.
        if !self.parser.keep_alive() || self.parser.consumed() != self.buffer.len() {
            self.stream = None;
        }
        Ok(self.parser.response(&self.buffer))
    }

    async fn open_by(&mut self, due: Instant) -> Result<(), SendError> {
        if self.usable() {
            return Ok(());
        }
        self.stream = None;
        let connecting = connect(self.addr, self.source);
        let connected = self.alarm.guard(due, connecting).await.ok_or(SendError::ConnectTimeout)?;
        self.stream = Some(connected.map_err(SendError::Connect)?);
        self.owed = false;
        Ok(())
    }

    /// Whether the next request may go out on the present connection. The read is a look at the readiness tokio
    /// remembers and makes no system call unless something happened to the socket since the last answer.
    fn usable(&self) -> bool {
        let idle = |stream: &TcpStream| match stream.try_read(&mut [0]) {
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            Ok(_) => false,
        };
        !self.owed && self.stream.as_ref().is_some_and(idle)
    }
}

/// Opens a connection and closes it, so that a wrong address is an error before a run and not a page of failed requests.
pub async fn probe(addr: SocketAddr, source: Option<Ipv4Addr>, deadline: Duration) -> io::Result<()> {
    match Connection::connect(addr, source, deadline).await {
        Ok(_) => Ok(()),
        Err(SendError::Connect(error)) => Err(error),
        Err(error) => Err(io::Error::new(io::ErrorKind::TimedOut, error)),
    }
}

async fn connect(addr: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if let Some(source) = source {
        bind_without_port(&socket)?;
        socket.bind(SocketAddr::from((source, 0)))?;
    }
    socket.connect(addr).await
}

/// Leaves the choice of the port to `connect`: a port taken by `bind` is taken for every destination, so that the
/// ephemeral range would bound all connections of an address together.
fn bind_without_port(socket: &TcpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).expect("an int is small");
    // SAFETY: the descriptor is open for the life of `socket`, and the option reads `size` bytes of `on`.
    let code = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size,
        )
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &mut Vec<u8>,
    parser: &mut Parser,
) -> Result<(), SendError> {
    stream.write_all(request).await.map_err(SendError::Io)?;
    loop {
        if buffer.capacity() - buffer.len() < 512 {
            buffer.reserve(buffer.len().max(4096));
        }
        // A read that leaves room tells tokio that the socket is empty, which saves the read that would say so.
        match stream.read_buf(buffer).await {
            Ok(0) if parser.closed(buffer) => return Ok(()),
            Ok(0) => return Err(SendError::Closed),
            Ok(_) => {
                if parser.advance(buffer)? {
                    return Ok(());
                }
            }
            Err(error) => return Err(SendError::Io(error)),
        }
    }
}

/// A deadline over many requests with one timer: it is set again only when it rings, once in a deadline's length,
/// and not with every request.
#[derive(Debug, Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// The result of `work`, or `None` when it is not ready by `due`, which must not lie before that of an earlier call.
    async fn guard<F: Future>(&mut self, due: Instant, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            let alarm = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
            while alarm.as_mut().poll(context).is_ready() {
                if Instant::now() >= due {
                    return Poll::Ready(None);
                }
                alarm.as_mut().reset(due);
            }
            Poll::Pending
        })
        .await
    }
}
