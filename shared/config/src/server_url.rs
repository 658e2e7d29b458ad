//! The URL of a server, with its credentials kept out of every log and error.
//!
//! Stricter than RFC 3986 on purpose: a password with a reserved character that is not percent-encoded would be
//! cut in different places by different clients, and its tail would end up where it can be printed.

use std::fmt;

use crate::STARS;
use crate::secret::Secret;

/// A server's URL and its parts. `Debug` and `Display` show `***` for the password and drop the query.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    full: Secret,
    /// What stands before `://`.
    pub scheme: String,
    /// User, decoded; may be empty.
    pub user: String,
    /// Password, decoded.
    pub password: Option<Secret>,
    /// Host name or address, an IPv6 one without brackets.
    pub host: String,
    /// TCP port, where one is written.
    pub port: Option<u16>,
    /// What follows the host's slash, decoded: a database or a virtual host.
    pub path: String,
    /// Whether options follow a question mark.
    pub has_query: bool,
}

/// What URLs one setting takes.
pub(crate) struct UrlForm {
    pub(crate) scheme: &'static str,
    pub(crate) allowed: &'static str,
    /// What else to say to one who wrote another scheme; may be empty.
    pub(crate) hint: fn(&str) -> &'static str,
    /// Conditions beyond the syntax; what else to say to one who does not meet them may be empty.
    pub(crate) accepts: fn(&ServerUrl) -> Result<(), &'static str>,
}

impl ServerUrl {
    /// Takes a URL apart. `None` where it is not `scheme://[user[:password]@]host[:port][/path][?query]`.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme_fits =
            scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        if scheme.is_empty() || !scheme_fits || rest.bytes().any(|b| b <= b' ' || b == b'#' || b == 0x7f) {
            return None;
        }
        let (before_query, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
        if path.contains('@') || query.is_some_and(|query| query.contains('@')) {
            return None;
        }
        let (credentials, address) = match authority.rsplit_once('@') {
            Some((credentials, address)) => (credentials, address),
            None => ("", authority),
        };
        if credentials.contains('@') {
            return None;
        }
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(Secret::new(decode(password)?))),
            None => (credentials, None),
        };
        let (host, port) = host_and_port(address)?;
        Some(Self {
            full: Secret::new(text),
            scheme: scheme.to_owned(),
            user: decode(user)?,
            password,
            host,
            port,
            path: decode(path)?,
            has_query: query.is_some(),
        })
    }

    /// The whole URL as it was written, with its password; for the client that connects, never for a log.
    pub fn expose(&self) -> &str {
        self.full.expose()
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        match (&self.password, self.user.is_empty()) {
            (Some(_), _) => write!(f, "{}:{STARS}@", self.user)?,
            (None, false) => write!(f, "{}@", self.user)?,
            (None, true) => {}
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        if self.has_query { f.write_str("?***") } else { Ok(()) }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What may be shown of a text that was meant as a URL, readable or not.
pub(crate) fn masked(text: &str) -> String {
    if let Some(url) = ServerUrl::parse(text) {
        return url.to_string();
    }
    match text.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!("{scheme}://{STARS}")
        }
        _ => STARS.to_owned(),
    }
}

/// Percent-encodes all but letters, digits and `-._~`.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// The same for several, separated by commas. Where one is not readable a comma may be part of a password, so that nothing
/// behind the first is shown.
pub(crate) fn masked_list(text: &str) -> String {
    let urls: Option<Vec<_>> = text.split(',').map(|url| ServerUrl::parse(url.trim())).collect();
    match urls {
        Some(urls) => urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        None => masked(text),
    }
}

pub(crate) fn host_and_port(address: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            match after {
                "" => (host, None),
                after => (host, Some(after.strip_prefix(':')?)),
            }
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
    };
    let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    (!host.is_empty() && named).then(|| (host.to_owned(), port))
}

/// Undoes percent-encoding; `None` where it is broken or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (code, tail) = rest.split_at_checked(2)?;
        let digit = |b: u8| char::from(b).to_digit(16);
        bytes.push(u8::try_from(digit(code[0])? * 16 + digit(code[1])?).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let cases = [
            ("amqp://host", "amqp://host"),
            ("amqp://user:secret@host:5672/%2f", "amqp://user:***@host:5672//"),
            ("mysql://user@[::1]:1/db?ssl-key=secret", "mysql://user@[::1]:1/db?***"),
            ("redis://:secret@host", "redis://:***@host"),
            // Not to be read, so as little as possible is shown.
            ("redis://:sec/ret@host", "redis://***"),
            ("redis://:1/ret@host", "redis://***"),
            ("mysql://user:1?secret@host/db", "mysql://***"),
            ("mysql://user:secret#@host/db", "mysql://***"),
            ("mysql://user:sec@ret@host/db", "mysql://***"),
            ("mysql://user:%zz@host/db", "mysql://***"),
            ("secret", "***"),
            ("sec ret://user@host", "***"),
            ("redis://:secret:6379", "redis://***"),
        ];
        for (text, shown) in cases {
            assert_eq!(masked(text), shown, "{text}");
        }
    }

    #[test]
    fn of_several_urls_each_is_shown_without_its_password() {
        let cases = [
            ("amqp://u:secret@a:1/v,amqp://u:secret@b:2/v", "amqp://u:***@a:1/v,amqp://u:***@b:2/v"),
            // The comma may stand in a password.
            ("amqp://u:1,secret@a", "amqp://u:***@a"),
            ("amqp://u:secret@a,nonsense", "amqp://***"),
            ("secret,amqp://a", "***"),
        ];
        for (text, shown) in cases {
            assert_eq!(masked_list(text), shown, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_url_is_refused() {
        let cases = [
            "",
            "host",
            "://host",
            "a://",
            "a://h:0",
            "a://h:65536",
            "a://h:",
            "a://h:+1",
            "a://[::1",
            "a://[h]",
            "a://[::1]x",
        ];
        for text in cases {
            assert!(ServerUrl::parse(text).is_none(), "{text}");
        }
    }
}
