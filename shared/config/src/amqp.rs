//! RabbitMQ, which carries accepted orders to the worker, unless the queue inside the process does.

use spike_domain::message::ORDERS_PER_MESSAGE_MAX;

use crate::backend::Backend;
use crate::reader::Reader;
use crate::server_url::{ServerUrl, UrlForm};

/// Section `[amqp]`.
#[derive(Clone, Debug)]
pub struct AmqpConfig {
    /// Secret. The server, its credentials and its virtual host (%2f is the one named /); empty: the embedded queue. The
    /// nodes of a cluster are separated by commas: a connection is made to any that answers.
    ///
    /// `SPIKE_AMQP_URL`: `amqp://[user:password@]host[:port][/vhost]`, several separated by commas, or empty
    pub url: Backend,
    /// Every node of the server, in the order written; none for the embedded queue.
    pub nodes: Vec<ServerUrl>,
    /// Messages published before their confirms are awaited.
    ///
    /// `SPIKE_AMQP_CONFIRM_WINDOW`: 1 to 1024
    pub confirm_window: usize,
    /// Orders joined into one message.
    ///
    /// `SPIKE_AMQP_MESSAGE_ORDERS_MAX`: 1 to 256
    pub message_orders_max: usize,
    /// How long a message that is not full waits for more orders, in milliseconds.
    ///
    /// `SPIKE_AMQP_MESSAGE_LINGER_MS`: 0 to 1000
    pub message_linger_ms: u64,
    /// Messages a worker holds without having acknowledged them.
    ///
    /// `SPIKE_AMQP_PREFETCH`: 1 to 10000
    pub prefetch: u16,
    /// Longest wait for a connection, in milliseconds.
    ///
    /// `SPIKE_AMQP_CONNECT_TIMEOUT_MS`: 10 to 60000
    pub connect_timeout_ms: u64,
    /// Longest wait for the confirms of a window, in milliseconds; afterwards it is published again.
    ///
    /// `SPIKE_AMQP_CONFIRM_TIMEOUT_MS`: 10 to 600000
    pub confirm_timeout_ms: u64,
}

impl AmqpConfig {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("amqp");
        let nodes = s.servers("url", &AMQP);
        Self {
            url: nodes.first().cloned().map_or(Backend::Embedded, Backend::Server),
            nodes,
            confirm_window: s.number("confirm_window", 1..=1024),
            message_orders_max: s.number("message_orders_max", 1..=ORDERS_PER_MESSAGE_MAX),
            message_linger_ms: s.number("message_linger_ms", 0..=1000),
            prefetch: s.number("prefetch", 1..=10_000),
            connect_timeout_ms: s.number("connect_timeout_ms", 10..=60_000),
            confirm_timeout_ms: s.number("confirm_timeout_ms", 10..=600_000),
        }
    }
}

const AMQP: UrlForm = UrlForm {
    scheme: "amqp",
    allowed: "`amqp://[user:password@]host[:port][/vhost]`, several separated by commas, or empty",
    hint: |scheme| match scheme {
        "amqps" => {
            "TLS is not spoken yet: run a TLS proxy such as stunnel beside this process and name it here"
        }
        _ => "",
    },
    accepts: |_| Ok(()),
};
