//! The incremental response parser: told all bytes of an answer so far, it says whether the answer is complete.
//!
//! It never looks at a byte of a finished part twice, and any split of the same bytes gives the same answer.

use memchr::memmem;

/// What is wrong with an answer. The connection cannot be used further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    /// Not `HTTP/1.x NNN`.
    #[error("the status line is not one of HTTP/1")]
    StatusLine,
    /// A header line without a name or colon.
    #[error("a header line has no name")]
    Header,
    /// Lengths that are not numbers or contradict each other.
    #[error("the length of the body is not stated clearly")]
    Length,
    /// A chunk that does not follow RFC 9112, 7.1.
    #[error("a chunk is not well-formed")]
    Chunk,
    /// Longer than [`Parser::HEAD_BYTES_MAX`] or [`Parser::BODY_BYTES_MAX`].
    #[error("the answer is too long")]
    TooLong,
}

/// One answer, borrowed from the connection until its next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// The final status; 1xx are passed over.
    pub status: u16,
    /// `Location`.
    pub location: Option<&'a [u8]>,
    /// `Retry-After`.
    pub retry_after: Option<&'a [u8]>,
    /// `RateLimit`: the limit that was met.
    pub rate_limit: Option<&'a [u8]>,
    /// `X-Request-Id`.
    pub request_id: Option<&'a [u8]>,
    /// Whether `Idempotent-Replayed: true` was there.
    pub replayed: bool,
    /// The body without its framing.
    pub body: &'a [u8],
}

/// A part of the buffer.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    from: usize,
    to: usize,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.from..self.to]
    }
}

#[derive(Debug, Clone, Copy)]
enum Framing {
    /// The body is this many bytes.
    Length(usize),
    /// The body comes in chunks, read so far up to the parser's `at`.
    Chunked(Chunk),
    /// The body ends with the connection.
    UntilClose,
}

#[derive(Debug, Clone, Copy)]
enum Chunk {
    Size,
    Data { left: usize },
    DataEnd,
    Trailer,
}

#[derive(Debug)]
struct Head {
    status: u16,
    location: Option<Span>,
    retry_after: Option<Span>,
    rate_limit: Option<Span>,
    request_id: Option<Span>,
    replayed: bool,
    keep_alive: bool,
    framing: Framing,
}

/// The state of reading one answer; [`Parser::reset`] makes it ready for the next.
#[derive(Debug, Default)]
pub struct Parser {
    head: Option<Head>,
    /// Where the head begins, after answers of class 1xx.
    head_from: usize,
    /// Everything before it has been understood (within the head: searched for its end).
    at: usize,
    body_from: usize,
    complete: bool,
    /// The body of a chunked answer; its allocation outlives the answer.
    joined: Vec<u8>,
}

impl Parser {
    /// The longest head accepted.
    pub const HEAD_BYTES_MAX: usize = 16 * 1024;
    /// The longest body accepted.
    pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
    /// The longest line of a chunk's size with its extensions, or of a trailer.
    const CHUNK_LINE_BYTES_MAX: usize = 1024;

    /// Forgets the answer.
    pub fn reset(&mut self) {
        self.joined.clear();
        *self = Self { joined: std::mem::take(&mut self.joined), ..Self::default() };
    }

    /// Reads on. `bytes` is the whole answer so far, from its first byte; true when the answer is complete.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<bool, BadResponse> {
        while self.head.is_none() {
            if !self.read_head(bytes)? {
                return Ok(false);
            }
        }
        let framing = self.head.as_ref().expect("read above").framing;
        self.complete = match framing {
            Framing::Length(length) => bytes.len() >= self.body_from + length,
            Framing::Chunked(chunk) => self.read_chunks(chunk, bytes)?,
            Framing::UntilClose if bytes.len() - self.body_from > Self::BODY_BYTES_MAX => {
                return Err(BadResponse::TooLong);
            }
            Framing::UntilClose => false,
        };
        if let (true, Framing::Length(length)) = (self.complete, framing) {
            self.at = self.body_from + length;
        }
        Ok(self.complete)
    }

    /// Tells that the server closed after `bytes`; true when that is how this answer ends.
    pub fn closed(&mut self, bytes: &[u8]) -> bool {
        if let Some(Head { framing: Framing::UntilClose, .. }) = self.head {
            self.at = bytes.len();
            self.complete = true;
        }
        self.complete
    }

    /// How many bytes the complete answer took.
    pub fn consumed(&self) -> usize {
        debug_assert!(self.complete);
        self.at
    }

    /// Whether the server will take another request on this connection.
    pub fn keep_alive(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.keep_alive)
    }

    /// The answer; `bytes` as given to the call of [`Parser::advance`] that completed it.
    ///
    /// # Panics
    /// When the answer is not complete.
    pub fn response<'a>(&'a self, bytes: &'a [u8]) -> Response<'a> {
        assert!(self.complete, "the answer is read before it is complete");
        let head = self.head.as_ref().expect("complete answers have a head");
        let text = |span: Option<Span>| span.map(|span| span.of(bytes));
        Response {
            status: head.status,
            location: text(head.location),
            retry_after: text(head.retry_after),
            rate_limit: text(head.rate_limit),
            request_id: text(head.request_id),
            replayed: head.replayed,
            body: match head.framing {
                Framing::Chunked(_) => &self.joined,
                Framing::Length(_) | Framing::UntilClose => &bytes[self.body_from..self.at],
            },
        }
    }

    /// Looks for the end of the head and reads it; false when more bytes are needed.
    fn read_head(&mut self, bytes: &[u8]) -> Result<bool, BadResponse> {
        // The end may straddle what was searched before and what is new.
        let from = self.at.saturating_sub(3).max(self.head_from);
        let end = memmem::find(&bytes[from..], b"\r\n\r\n").map(|found| from + found);
        // Up to three bytes of the end may be there already.
        if end.unwrap_or(bytes.len().saturating_sub(3)) > Self::HEAD_BYTES_MAX {
            return Err(BadResponse::TooLong);
        }
        let Some(end) = end else {
            self.at = bytes.len();
            return Ok(false);
        };
        let head = Head::parse(bytes, Span { from: self.head_from, to: end })?;
        self.at = end + 4;
        if (100..200).contains(&head.status) {
            self.head_from = self.at;
            return Ok(true);
        }
        self.body_from = self.at;
        self.head = Some(head);
        Ok(true)
    }

    /// Reads chunks from `at` on; true after the last trailer line.
    fn read_chunks(&mut self, mut chunk: Chunk, bytes: &[u8]) -> Result<bool, BadResponse> {
        let done = loop {
            let rest = &bytes[self.at..];
            match chunk {
                Chunk::Size => {
                    let Some(line) = line(rest)? else { break false };
                    self.at += line.len() + 2;
                    let left = chunk_size(line)?;
                    if self.joined.len() + left > Self::BODY_BYTES_MAX {
                        return Err(BadResponse::TooLong);
                    }
                    chunk = if left == 0 { Chunk::Trailer } else { Chunk::Data { left } };
                }
                Chunk::Data { left } => {
                    let taken = left.min(rest.len());
                    self.joined.extend_from_slice(&rest[..taken]);
                    self.at += taken;
                    chunk = if taken == left { Chunk::DataEnd } else { Chunk::Data { left: left - taken } };
                    if taken < left {
                        break false;
                    }
                }
                Chunk::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.at += 2;
                        chunk = Chunk::Size;
                    }
                    [] | [b'\r'] => break false,
                    _ => return Err(BadResponse::Chunk),
                },
                Chunk::Trailer => {
                    let Some(line) = line(rest)? else { break false };
                    self.at += line.len() + 2;
                    if line.is_empty() {
                        break true;
                    }
                }
            }
        };
        self.head.as_mut().expect("chunks follow a head").framing = Framing::Chunked(chunk);
        Ok(done)
    }
}

/// The line at the start of `bytes` without its CRLF, or `None` while it is not whole.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, BadResponse> {
    let end = memmem::find(bytes, b"\r\n");
    if end.unwrap_or(bytes.len().saturating_sub(1)) > Parser::CHUNK_LINE_BYTES_MAX {
        return Err(BadResponse::TooLong);
    }
    Ok(end.map(|end| &bytes[..end]))
}

fn chunk_size(line: &[u8]) -> Result<usize, BadResponse> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(BadResponse::Chunk);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| BadResponse::Chunk)?;
    usize::from_str_radix(digits, 16).map_err(|_| BadResponse::Chunk)
}

impl Head {
    /// Reads the status line and the headers in `span`, which ends before the empty line.
    fn parse(bytes: &[u8], span: Span) -> Result<Self, BadResponse> {
        let text = span.of(bytes);
        let first = memmem::find(text, b"\r\n").unwrap_or(text.len());
        let (status, minor) = status_line(&text[..first])?;
        let mut head = Self {
            status,
            location: None,
            retry_after: None,
            rate_limit: None,
            request_id: None,
            replayed: false,
            keep_alive: minor >= 1,
            framing: Framing::UntilClose,
        };
        let (mut length, mut chunked) = (None, false);
        let mut at = span.from + first + 2;
        while at < span.to {
            let end = memmem::find(&bytes[at..span.to], b"\r\n").map_or(span.to, |found| at + found);
            head.header(bytes, Span { from: at, to: end }, &mut length, &mut chunked)?;
            at = end + 2;
        }
        head.frame(length, chunked);
        Ok(head)
    }

    /// Takes one header line. Every name of interest has a length of its own, so most lines cost one comparison.
    fn header(
        &mut self,
        bytes: &[u8],
        line: Span,
        length: &mut Option<usize>,
        chunked: &mut bool,
    ) -> Result<(), BadResponse> {
        let text = line.of(bytes);
        let colon = memchr::memchr(b':', text).filter(|&at| at > 0).ok_or(BadResponse::Header)?;
        let (name, value) = (&text[..colon], text[colon + 1..].trim_ascii());
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        let lead = text[colon + 1..].len() - text[colon + 1..].trim_ascii_start().len();
        let from = line.from + colon + 1 + lead;
        let span = Some(Span { from, to: from + value.len() });
        match colon {
            8 if is("location") => self.location = span,
            9 if is("ratelimit") => self.rate_limit = span,
            10 if is("connection") => {
                // `close` among several options still closes; `keep-alive` matters to HTTP/1.0 only.
                for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    if option.eq_ignore_ascii_case(b"close") {
                        self.keep_alive = false;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") {
                        self.keep_alive = true;
                    }
                }
            }
            11 if is("retry-after") => self.retry_after = span,
            12 if is("x-request-id") => self.request_id = span,
            14 if is("content-length") => {
                let stated = content_length(value)?;
                if length.is_some_and(|known| known != stated) {
                    return Err(BadResponse::Length);
                }
                *length = Some(stated);
            }
            17 if is("transfer-encoding") => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(BadResponse::Length);
                }
                *chunked = true;
            }
            19 if is("idempotent-replayed") => self.replayed = value.eq_ignore_ascii_case(b"true"),
            _ => {}
        }
        Ok(())
    }

    /// Decides how the body ends (RFC 9112, 6.3).
    fn frame(&mut self, length: Option<usize>, chunked: bool) {
        self.framing = match (self.status, chunked, length) {
            (100..=199 | 204 | 304, ..) => Framing::Length(0),
            (_, true, _) => Framing::Chunked(Chunk::Size),
            (_, false, Some(length)) => Framing::Length(length),
            (_, false, None) => Framing::UntilClose,
        };
        // Both lengths at once is how answers are smuggled: read by the chunks, and never trust the connection again.
        if matches!(self.framing, Framing::UntilClose) || (chunked && length.is_some()) {
            self.keep_alive = false;
        }
    }
}

/// Status and minor version of `HTTP/1.m NNN reason`.
fn status_line(line: &[u8]) -> Result<(u16, u8), BadResponse> {
    match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, b' ', a, b, c, rest @ ..]
            if [minor, a, b, c].iter().all(|byte| byte.is_ascii_digit())
                && *a != b'0'
                && rest.first().is_none_or(|&byte| byte == b' ') =>
        {
            let digit = |byte: &u8| u16::from(byte - b'0');
            Ok((digit(a) * 100 + digit(b) * 10 + digit(c), minor - b'0'))
        }
        _ => Err(BadResponse::StatusLine),
    }
}

fn content_length(value: &[u8]) -> Result<usize, BadResponse> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(BadResponse::Length);
    }
    let text = std::str::from_utf8(value).map_err(|_| BadResponse::Length)?;
    let length: usize = text.parse().map_err(|_| BadResponse::TooLong)?;
    if length > Parser::BODY_BYTES_MAX { Err(BadResponse::TooLong) } else { Ok(length) }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
