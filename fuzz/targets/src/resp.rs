//! Replies of Redis: the same wherever the bytes are cut, and readable again when written.

use spike_gateway::redis::Reply;
use spike_gateway::redis::resp::Reader;

/// What RESP2 is made of.
pub const WORDS: &[&str] = &[
    "\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "*0\r\n",
    "*2\r\n",
    "$0\r\n\r\n",
    "$3\r\nabc\r\n",
    "+OK\r\n",
    "-ERR x\r\n",
    "-NOSCRIPT x\r\n",
    ":1\r\n",
    "*1\r\n*1\r\n*1\r\n",
    "$",
    "*",
    ":",
];

/// One input: the bytes of a connection.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) -> String {
    let data = &data[..data.len().min(crate::INPUT_MAX)];
    let whole = read(data.chunks(data.len().max(1)));
    for size in [1, 2, 7] {
        assert_eq!(read(data.chunks(size)), whole, "in pieces of {size}");
    }
    let middle = data.first().map_or(0, |&byte| usize::from(byte) % data.len());
    assert_eq!(read([&data[..middle], &data[middle..]].into_iter()), whole, "cut at {middle}");

    let (replies, bad) = whole;
    let mut written = Vec::new();
    replies.iter().for_each(|reply| write(reply, &mut written));
    let again = read(std::iter::once(&*written));
    assert_eq!(again, (replies.clone(), None), "what was read reads again");
    let kinds: String = replies.iter().take(4).map(shape).collect();
    format!("{kinds} {bad:?}")
}

/// The replies, and what ended them.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Reply>, Option<String>) {
    let (mut reader, mut replies) = (Reader::default(), Vec::new());
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next_reply() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(bad) => return (replies, Some(bad.to_string())),
            }
        }
    }
    (replies, None)
}

fn write(reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Status(text) => out.extend([b"+", &text[..], b"\r\n"].concat()),
        Reply::Error(text) => out.extend([b"-", &text[..], b"\r\n"].concat()),
        Reply::Number(number) => out.extend(format!(":{number}\r\n").bytes()),
        Reply::Nil => out.extend(b"$-1\r\n"),
        Reply::Bulk(bytes) => {
            out.extend([format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat());
        }
        Reply::Array(items) => {
            out.extend(format!("*{}\r\n", items.len()).bytes());
            items.iter().for_each(|item| write(item, out));
        }
    }
}

fn shape(reply: &Reply) -> String {
    match reply {
        Reply::Status(_) => "+".to_owned(),
        Reply::Error(_) => "-".to_owned(),
        Reply::Number(_) => ":".to_owned(),
        Reply::Nil => "_".to_owned(),
        Reply::Bulk(bytes) => format!("${}", bytes.len().min(2)),
        Reply::Array(items) => {
            let few = items.iter().take(2).map(shape).collect::<String>();
            format!("*{}({few})", items.len().min(3))
        }
    }
}
