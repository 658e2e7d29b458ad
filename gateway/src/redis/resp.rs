//! An incremental reader of RESP2 replies. It remembers how far it has looked, so a reply that arrives in many pieces is
//! scanned once, and cuts replies out of the read buffer without copying their strings.

use bytes::{Bytes, BytesMut};

/// Longest bulk string taken, in bytes.
const BULK_MAX: usize = 64 << 20;
/// Most elements of one array.
const ELEMENTS_MAX: usize = 1 << 20;
/// Deepest nesting.
const DEPTH_MAX: usize = 8;
/// Longest line (status, error, number), in bytes.
const LINE_MAX: usize = 64 << 10;

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+text`
    Status(Bytes),
    /// `-CODE text`
    Error(Bytes),
    /// `:number`
    Number(i64),
    /// `$length` and its bytes
    Bulk(Bytes),
    /// `$-1` or `*-1`
    Nil,
    /// `*count` and its elements
    Array(Vec<Reply>),
}

impl Reply {
    /// Whether this is the error of that code, for example `NOSCRIPT`.
    pub fn is_error(&self, code: &[u8]) -> bool {
        matches!(self, Self::Error(text) if text.split(|&byte| byte == b' ').next() == Some(code))
    }
}

/// Bytes that are not RESP2: the connection cannot be trusted any more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a RESP2 reply: {0}")]
pub struct BadReply(&'static str);

/// Collects bytes and yields whole replies.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    /// Bytes of the present reply that are known to be whole elements.
    scanned: usize,
    /// Elements still missing, a count for each open array.
    open: Vec<usize>,
}

impl Reader {
    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole reply, if it is there.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, BadReply> {
        loop {
            let Some(element) = scan(&self.buffer[self.scanned..])? else { return Ok(None) };
            self.scanned += element.length;
            if element.children > 0 {
                if self.open.len() == DEPTH_MAX {
                    return Err(BadReply("nested too deeply"));
                }
                self.open.push(element.children);
                continue;
            }
            while let Some(missing) = self.open.last_mut() {
                *missing -= 1;
                if *missing > 0 {
                    break;
                }
                self.open.pop();
            }
            if self.open.is_empty() {
                let frame = self.buffer.split_to(std::mem::take(&mut self.scanned)).freeze();
                let (reply, rest) = build(&frame, 0);
                assert_eq!(rest, frame.len(), "a reply is exactly what was scanned");
                return Ok(Some(reply));
            }
        }
    }
}

struct Element {
    /// Bytes of this element alone; of an array, its head.
    length: usize,
    children: usize,
}

/// Looks at the element at the start of `bytes`; `None` when it is not whole yet.
fn scan(bytes: &[u8]) -> Result<Option<Element>, BadReply> {
    let Some(line) = line(bytes)? else { return Ok(None) };
    let after = line.len() + 2;
    let element = match line[0] {
        b'+' | b'-' => Element { length: after, children: 0 },
        b':' => {
            number(&line[1..])?;
            Element { length: after, children: 0 }
        }
        b'$' => match count(&line[1..], BULK_MAX)? {
            None => Element { length: after, children: 0 },
            Some(length) => {
                let end = after + length + 2;
                if bytes.len() < end {
                    return Ok(None);
                }
                if &bytes[end - 2..end] != b"\r\n" {
                    return Err(BadReply("bulk string without its end"));
                }
                Element { length: end, children: 0 }
            }
        },
        b'*' => Element { length: after, children: count(&line[1..], ELEMENTS_MAX)?.unwrap_or(0) },
        _ => return Err(BadReply("unknown type")),
    };
    Ok(Some(element))
}

/// The first line without its end; never empty.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, BadReply> {
    match memchr::memchr(b'\r', bytes) {
        None if bytes.len() > LINE_MAX => Err(BadReply("line too long")),
        None => Ok(None),
        Some(0) => Err(BadReply("empty line")),
        Some(at) => match bytes.get(at + 1) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(&bytes[..at])),
            Some(_) => Err(BadReply("carriage return inside a line")),
        },
    }
}

/// Builds the element at `at` of a frame known to be whole; returns it and where the next one starts.
fn build(frame: &Bytes, at: usize) -> (Reply, usize) {
    let text = line(&frame[at..]).ok().flatten().expect("scanned before");
    let (kind, body) = (text[0], at + 1..at + text.len());
    let after = at + text.len() + 2;
    match kind {
        b'+' => (Reply::Status(frame.slice(body)), after),
        b'-' => (Reply::Error(frame.slice(body)), after),
        b':' => (Reply::Number(number(&frame[body]).expect("scanned before")), after),
        b'$' => match count(&frame[body], BULK_MAX).expect("scanned before") {
            None => (Reply::Nil, after),
            Some(length) => (Reply::Bulk(frame.slice(after..after + length)), after + length + 2),
        },
        _ => match count(&frame[body], ELEMENTS_MAX).expect("scanned before") {
            None => (Reply::Nil, after),
            Some(elements) => {
                let mut next = after;
                let items = (0..elements).map(|_| {
                    let (item, end) = build(frame, next);
                    next = end;
                    item
                });
                (Reply::Array(items.collect()), next)
            }
        },
    }
}

fn number(digits: &[u8]) -> Result<i64, BadReply> {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(BadReply("not a number"))
}

/// A length; -1 is nil.
fn count(digits: &[u8], max: usize) -> Result<Option<usize>, BadReply> {
    match number(digits)? {
        -1 => Ok(None),
        length => usize::try_from(length)
            .ok()
            .filter(|&n| n <= max)
            .map(Some)
            .ok_or(BadReply("length out of range")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(pieces: &[&[u8]]) -> Result<Vec<Reply>, BadReply> {
        let mut reader = Reader::default();
        let mut replies = Vec::new();
        for piece in pieces {
            reader.push(piece);
            while let Some(reply) = reader.next_reply()? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    #[test]
    fn every_kind_is_read() {
        let bytes = b"+OK\r\n-NOSCRIPT No matching script.\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n$0\r\n\r\n*2\r\n$1\r\nx\r\n*0\r\n*-1\r\n";
        let replies = read_all(&[bytes]).unwrap();
        let bulk = |text: &'static [u8]| Reply::Bulk(Bytes::from_static(text));
        assert!(replies[1].is_error(b"NOSCRIPT") && !replies[1].is_error(b"NO"));
        assert_eq!(replies[0], Reply::Status(Bytes::from_static(b"OK")));
        assert_eq!(
            replies[2..],
            [
                Reply::Number(-7),
                bulk(b"a\r\n"),
                Reply::Nil,
                bulk(b""),
                Reply::Array(vec![bulk(b"x"), Reply::Array(vec![])]),
                Reply::Nil
            ]
        );
    }

    #[test]
    fn what_is_not_resp_is_refused() {
        let deep = b"*1\r\n".repeat(9);
        let cases: [&[u8]; 9] = [
            b"hello\r\n",
            b"\r\n",
            b":x\r\n",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"*99999999\r\n",
            b"$1\r\nab\r\n",
            b"+a\rb\r\n",
            &deep,
        ];
        for bytes in cases {
            assert!(read_all(&[bytes]).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let text = proptest::collection::vec(any::<u8>(), 0..40);
        let leaf = prop_oneof![
            any::<i64>().prop_map(Reply::Number),
            text.prop_map(|bytes| Reply::Bulk(bytes.into())),
            Just(Reply::Nil),
            "[a-zA-Z ]{0,20}".prop_map(|text| Reply::Status(text.into())),
            "[A-Z]{1,10} [a-z ]{0,20}".prop_map(|text| Reply::Error(text.into())),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| proptest::collection::vec(inner, 0..8).prop_map(Reply::Array))
    }

    fn encode(reply: &Reply, out: &mut Vec<u8>) {
        match reply {
            Reply::Status(text) => out.extend([b"+", &text[..], b"\r\n"].concat()),
            Reply::Error(text) => out.extend([b"-", &text[..], b"\r\n"].concat()),
            Reply::Number(n) => out.extend(format!(":{n}\r\n").into_bytes()),
            Reply::Nil => out.extend(b"$-1\r\n"),
            Reply::Bulk(bytes) => {
                out.extend([format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat());
            }
            Reply::Array(items) => {
                out.extend(format!("*{}\r\n", items.len()).into_bytes());
                items.iter().for_each(|item| encode(item, out));
            }
        }
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_replies(
            replies in proptest::collection::vec(any_reply(), 1..6),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        ) {
            let mut bytes = Vec::new();
            replies.iter().for_each(|reply| encode(reply, &mut bytes));
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read_all(&pieces).unwrap(), replies);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_all(&[&bytes]);
        }
    }
}
