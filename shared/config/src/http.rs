//! The public HTTP port and the gateway's operations port: addresses, caps, deadlines and who may speak for a client.

use std::net::SocketAddr;

use crate::address_block::AddressBlock;
use crate::reader::Reader;

/// Section `[http]`.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where buyers connect.
    ///
    /// `SPIKE_HTTP_LISTEN`: an address and a port, such as 127.0.0.1:8080
    pub listen: SocketAddr,
    /// Where /metrics, /livez, /readyz and /healthz of the gateway are served; keep it off the public
    /// network.
    ///
    /// `SPIKE_HTTP_OPS_LISTEN`: an address and a port, such as 127.0.0.1:8080
    pub ops_listen: SocketAddr,
    /// Connections the kernel may hold for us before they are accepted; the storm at the opening second
    /// needs many.
    ///
    /// `SPIKE_HTTP_BACKLOG`: 1 to 65535
    pub backlog: i32,
    /// Open connections of the whole process; one more is closed at once.
    ///
    /// `SPIKE_HTTP_CONNECTIONS_MAX`: 1 to 1000000
    pub connections_max: usize,
    /// Longest wait for a complete request head, in milliseconds.
    ///
    /// `SPIKE_HTTP_HEADER_TIMEOUT_MS`: 10 to 600000
    pub header_timeout_ms: u64,
    /// Longest wait for a complete request body, in milliseconds.
    ///
    /// `SPIKE_HTTP_BODY_TIMEOUT_MS`: 10 to 600000
    pub body_timeout_ms: u64,
    /// Longest time an answer may make no progress towards a slow reader, in milliseconds.
    ///
    /// `SPIKE_HTTP_WRITE_TIMEOUT_MS`: 10 to 600000
    pub write_timeout_ms: u64,
    /// Longest rest of a kept-alive connection between two requests, in milliseconds.
    ///
    /// `SPIKE_HTTP_IDLE_TIMEOUT_MS`: 10 to 3600000
    pub idle_timeout_ms: u64,
    /// Largest request head, in bytes; more is 431. The HTTP parser needs at least 8192.
    ///
    /// `SPIKE_HTTP_HEADER_BYTES_MAX`: 8192 to 1048576
    pub header_bytes_max: usize,
    /// Largest request body, in bytes; more is 413.
    ///
    /// `SPIKE_HTTP_BODY_BYTES_MAX`: 1024 to 16777216
    pub body_bytes_max: usize,
    /// Longest handling of one control API request, in milliseconds.
    ///
    /// `SPIKE_HTTP_REQUEST_TIMEOUT_MS`: 10 to 600000
    pub request_timeout_ms: u64,
    /// How long SIGTERM waits for requests under way before the gateway leaves, in milliseconds.
    ///
    /// `SPIKE_HTTP_DRAIN_TIMEOUT_MS`: 0 to 600000
    pub drain_timeout_ms: u64,
    /// Origins a browser may call from; empty: none but our own.
    ///
    /// `SPIKE_HTTP_CORS_ORIGINS`: a list of origins such as `https://shop.example`, without a path
    pub cors_origins: Vec<String>,
    /// Load balancers and proxies whose word about the client's address is believed.
    ///
    /// `SPIKE_HTTP_TRUSTED_PROXIES`: a list of addresses and blocks, such as 10.0.0.0/8
    pub trusted_proxies: Vec<AddressBlock>,
    /// Header in which a trusted proxy names the client's address; empty: none. Needs trusted_proxies.
    ///
    /// `SPIKE_HTTP_CLIENT_IP_HEADER`: a header name, or empty
    pub client_ip_header: Option<String>,
    /// Whether trusted proxies open each connection with a PROXY protocol header. Needs trusted_proxies.
    ///
    /// `SPIKE_HTTP_PROXY_PROTOCOL`: true or false
    pub proxy_protocol: bool,
}

impl HttpConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("http");
        Self {
            listen: s.socket("listen"),
            ops_listen: s.socket("ops_listen"),
            backlog: s.number("backlog", 1..=65_535),
            connections_max: s.number("connections_max", 1..=1_000_000),
            header_timeout_ms: s.number("header_timeout_ms", 10..=600_000),
            body_timeout_ms: s.number("body_timeout_ms", 10..=600_000),
            write_timeout_ms: s.number("write_timeout_ms", 10..=600_000),
            idle_timeout_ms: s.number("idle_timeout_ms", 10..=3_600_000),
            header_bytes_max: s.number("header_bytes_max", 8192..=1_048_576),
            body_bytes_max: s.number("body_bytes_max", 1024..=16_777_216),
            request_timeout_ms: s.number("request_timeout_ms", 10..=600_000),
            drain_timeout_ms: s.number("drain_timeout_ms", 0..=600_000),
            cors_origins: s.origins("cors_origins"),
            trusted_proxies: s.address_blocks("trusted_proxies"),
            client_ip_header: s.header("client_ip_header"),
            proxy_protocol: s.flag("proxy_protocol"),
        }
    }
}
