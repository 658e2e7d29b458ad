//! The PROXY protocol (versions 1 and 2): the line, or the block, in which a trusted proxy names its client before the
//! first byte of HTTP. <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use monoio::io::AsyncReadRentExt;
use monoio::net::TcpStream;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, with its end.
const LINE_MAX: usize = 107;
/// Longest block of version 2 that is taken, extensions and all, in bytes.
const BLOCK_MAX: usize = 4096;

/// Reads the header and not a byte more. `None`: the proxy speaks for itself, as its health checks do.
///
/// # Errors
/// When what comes is no such header; the caller closes, for a proxy that forgot it would lend its name to everybody.
pub async fn client(stream: &mut TcpStream) -> Result<Option<IpAddr>> {
    let mut head = exactly(stream, SIGNATURE.len()).await?;
    if head == SIGNATURE {
        let fixed = exactly(stream, 4).await?;
        let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if length > BLOCK_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        let block = if length == 0 { Vec::new() } else { exactly(stream, length).await? };
        return block_client(fixed[0], fixed[1], &block).ok_or_else(|| Error::from(ErrorKind::InvalidData));
    }
    if !head.starts_with(b"PROXY ") {
        return Err(ErrorKind::InvalidData.into());
    }
    // The line's length is not known before its end, and what follows it belongs to HTTP: byte by byte.
    while !head.ends_with(b"\r\n") {
        if head.len() == LINE_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        head.extend(exactly(stream, 1).await?);
    }
    line_client(&head).ok_or_else(|| ErrorKind::InvalidData.into())
}

async fn exactly(stream: &mut TcpStream, bytes: usize) -> Result<Vec<u8>> {
    let (result, buffer) = stream.read_exact(vec![0; bytes]).await;
    result.map(|_| buffer)
}

/// `PROXY TCP4 source destination port port`, or `PROXY UNKNOWN …`.
fn line_client(line: &[u8]) -> Option<Option<IpAddr>> {
    let words: Vec<&str> = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some(None),
        ["PROXY", "TCP4", source, _, _, _] => Some(Some(source.parse::<Ipv4Addr>().ok()?.into())),
        ["PROXY", "TCP6", source, _, _, _] => Some(Some(source.parse::<Ipv6Addr>().ok()?.into())),
        _ => None,
    }
}

/// Version and command, family and transport, then addresses and extensions.
fn block_client(command: u8, family: u8, block: &[u8]) -> Option<Option<IpAddr>> {
    match (command, family) {
        (0x20, _) => Some(None),
        (0x21, 0x11) if block.len() >= 12 => Some(Some(IpAddr::from(*block.first_chunk::<4>()?))),
        (0x21, 0x21) if block.len() >= 36 => Some(Some(IpAddr::from(*block.first_chunk::<16>()?))),
        (0x21, 0x11 | 0x21) => None,
        (0x21, _) => Some(None),
        _ => None,
    }
}
