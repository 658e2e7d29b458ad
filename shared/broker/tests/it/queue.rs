//! A queue of a test's own, and what `rabbitmqctl` says of it.

use std::time::{Duration, Instant};

use spike_broker::{Consumer, Delivery, Outgoing, Publisher, Timeouts};
use spike_devstack::{RabbitServer, fixture};

/// Patience of a test.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A virtual host of one test.
pub struct Vhost<'a> {
    pub server: &'a RabbitServer,
    pub url: String,
}

impl Vhost<'static> {
    /// On the node that all tests share.
    pub async fn shared() -> Self {
        let url = tokio::task::spawn_blocking(fixture::vhost).await.unwrap();
        Self { server: fixture::rabbit(), url }
    }
}

impl Vhost<'_> {
    pub async fn publisher(&self) -> Publisher {
        Publisher::connect(&self.url, timeouts(PATIENCE)).await.expect("a publisher")
    }

    pub async fn consumer(&self, prefetch: u16) -> Consumer {
        Consumer::connect(&self.url, prefetch, PATIENCE).await.expect("a consumer")
    }

    /// Runs `rabbitmqctl … -p <this vhost>`.
    pub fn ctl(&self, args: &[&str]) -> String {
        let (_, vhost) = self.url.rsplit_once('/').unwrap();
        self.server.ctl(&[args, &["-p", &vhost.replace("%2f", "/")]].concat()).unwrap()
    }

    /// Waits until a queue holds `count` messages, in hand or not.
    pub async fn until_queue_holds(&self, queue: &str, count: usize) {
        let want = format!("{queue}\t{count}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let listed = self.ctl(&["list_queues", "--quiet", "name", "messages"]);
            if listed.lines().any(|line| line == want) {
                return;
            }
            assert!(Instant::now() < deadline, "wanted {want:?}, got {listed:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub fn timeouts(confirm: Duration) -> Timeouts {
    Timeouts { connect: PATIENCE, confirm }
}

pub fn messages(ids: impl IntoIterator<Item = u32>) -> Vec<Outgoing> {
    let message =
        |id: u32| Outgoing { message_id: format!("m{id}"), body: format!("body of {id}").into_bytes() };
    ids.into_iter().map(message).collect()
}

/// The next message, within the test's patience.
pub async fn receive(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(PATIENCE, consumer.next()).await.expect("a message in time").expect("a message")
}

pub async fn receive_all(consumer: &mut Consumer, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::with_capacity(count);
    for _ in 0..count {
        deliveries.push(receive(consumer).await);
    }
    deliveries
}
