//! Where a load goes: an address and a `Host` header from a URL.

use std::net::SocketAddr;

use crate::misuse::Misuse;

/// The prefix of every route that is pressed.
const PREFIX: &str = "/api/v1";

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub at: SocketAddr,
    /// The `Host` header.
    pub host: String,
}

impl Target {
    /// The base of its API.
    pub fn api(&self) -> String {
        format!("http://{}{PREFIX}", self.host)
    }

    /// Finds the gateway of a URL.
    ///
    /// # Errors
    /// [`Misuse`] of a URL that is none, or whose host has no address.
    pub async fn find(url: &str) -> anyhow::Result<Self> {
        let (host, authority, port) = parse(url)?;
        let mut found = tokio::net::lookup_host((host.as_str(), port))
            .await
            .map_err(|error| Misuse(format!("--url {url}: {host} has no address: {error}")))?;
        let at = found.next().ok_or_else(|| Misuse(format!("--url {url}: {host} has no address")))?;
        Ok(Self { at, host: authority })
    }
}

/// Host, `Host` header and port.
fn parse(url: &str) -> Result<(String, String, u16), Misuse> {
    let refuse = |why: &str| Misuse(format!("--url {url}: {why}; it must be http://host[:port][{PREFIX}]"));
    if url.starts_with("https://") {
        return Err(refuse("the generator speaks no TLS"));
    }
    let rest = url.strip_prefix("http://").ok_or_else(|| refuse("no scheme http"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !["", PREFIX].contains(&path.trim_end_matches('/')) {
        return Err(refuse("another path"));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => {
            (host, port.parse().ok().filter(|port| *port > 0).ok_or_else(|| refuse("not a port"))?)
        }
        _ => (authority, 80),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || authority.contains(|c: char| c == '@' || c == '?' || c.is_whitespace()) {
        return Err(refuse("no host"));
    }
    Ok((host.to_owned(), authority.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_or_refused_in_one_line() {
        for (url, want) in [
            ("http://shop.example", ("shop.example", "shop.example", 80)),
            ("http://127.0.0.1:8080/api/v1/", ("127.0.0.1", "127.0.0.1:8080", 8080)),
            ("http://[::1]:81/", ("::1", "[::1]:81", 81)),
            ("http://[::1]", ("::1", "[::1]", 80)),
        ] {
            let (host, authority, port) = parse(url).unwrap();
            assert_eq!((host.as_str(), authority.as_str(), port), want, "{url}");
        }
        for (url, part) in [
            ("https://h", "no TLS"),
            ("shop:80", "no scheme"),
            ("http://", "no host"),
            ("http://u@h", "no host"),
            ("http://h:many", "not a port"),
            ("http://h:0", "not a port"),
            ("http://h/api/v2", "another path"),
        ] {
            let said = parse(url).unwrap_err().to_string();
            assert!(said.contains(part) && said.contains(url) && !said.contains('\n'), "{said}");
        }
    }
}
