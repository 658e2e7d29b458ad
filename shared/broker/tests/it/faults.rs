//! What happens to messages when the node is killed, or takes none for want of memory. Each test has its own node.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use spike_broker::topology::ORDERS;
use spike_broker::{BrokerError, Consumer, PublishError, Publisher};
use spike_devstack::{RabbitServer, fixture};

use crate::queue::{PATIENCE, Vhost, messages, receive_all, timeouts};

/// A node killed sooner after a quorum queue was declared may lose the queue's leader for good (RabbitMQ 3.10).
const OLD_ENOUGH: Duration = Duration::from_secs(4);

async fn own_node() -> RabbitServer {
    let start = || RabbitServer::start(&fixture::folder("rabbit")).expect("a node of one's own");
    tokio::task::spawn_blocking(start).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmed_window_survives_kill_9() {
    let node = own_node().await;
    let vhost = Vhost { server: &node, url: node.url("/") };
    let mut publisher = vhost.publisher().await;
    // Traffic for a while before the fault: see OLD_ENOUGH.
    let (declared, mut sent) = (Instant::now(), 0);
    while declared.elapsed() < OLD_ENOUGH {
        publisher.publish_window(&messages(sent..sent + 5)).await.unwrap();
        sent += 5;
    }
    let mut consumer = vhost.consumer(5).await;
    receive_all(&mut consumer, 5).await;

    node.kill9();
    let error = publisher.publish_window(&messages(sent..sent + 1)).await.expect_err("the node is gone");
    assert!(matches!(error, PublishError::Connection(_)), "{error}");
    let ended = tokio::time::timeout(PATIENCE, consumer.next()).await.expect("the consumer notices");
    assert!(matches!(ended, Err(BrokerError::Connection { .. } | BrokerError::Ended)), "{ended:?}");
    let refused = Publisher::connect(&vhost.url, timeouts(PATIENCE)).await;
    assert!(matches!(refused, Err(BrokerError::Connection { .. })), "nobody listens");

    node.restart().unwrap();
    let mut consumer = vhost.consumer(100).await;
    let mut waiting: HashSet<String> =
        messages(0..sent).into_iter().map(|message| message.message_id).collect();
    while !waiting.is_empty() {
        let delivery = receive_all(&mut consumer, 1).await.remove(0);
        assert!(
            waiting.remove(&delivery.message_id),
            "{} came twice or was never confirmed",
            delivery.message_id
        );
        consumer.ack(&[delivery.tag]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_made_to_whichever_node_answers() {
    let vhost = Vhost::shared().await;
    let nobody = format!("amqp://guest:guest@127.0.0.1:{}/%2f", spike_devstack::free_port().unwrap());
    let urls = format!("{nobody},{},{nobody}", vhost.url);
    // Whatever node is the first to be tried: each is, a time in three.
    for round in 0..8 {
        let mut publisher =
            Publisher::connect(&urls, timeouts(PATIENCE)).await.expect("one of three answers");
        publisher.publish_window(&messages(round..round + 1)).await.unwrap();
    }
    let mut consumer = Consumer::connect(&urls, 100, PATIENCE).await.expect("one of three answers");
    receive_all(&mut consumer, 8).await;
    let refused = Publisher::connect(&format!("{nobody},{nobody}"), timeouts(PATIENCE)).await;
    assert!(matches!(refused, Err(BrokerError::Connection { .. })), "nobody listens");
    let wrong = Publisher::connect(&format!("{},http://127.0.0.1", vhost.url), timeouts(PATIENCE)).await;
    assert!(matches!(wrong, Err(BrokerError::Url(_))), "a mistake is told even if another node would answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_memory_or_without_a_pulse_is_a_timeout_and_not_a_hang() {
    let node = own_node().await;
    let vhost = Vhost { server: &node, url: node.url("/") };
    let confirm = Duration::from_millis(500);
    let mut publisher = Publisher::connect(&vhost.url, timeouts(confirm)).await.unwrap();
    publisher.publish_window(&messages(0..1)).await.unwrap();
    node.ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]).unwrap();
    let error = publisher.publish_window(&messages(1..2)).await.expect_err("publishers are blocked");
    assert!(matches!(error, PublishError::Timeout { ms: 500 }), "{error}");
    drop(publisher);

    node.ctl(&["set_vm_memory_high_watermark", "0.4"]).unwrap();
    let mut publisher = Publisher::connect(&vhost.url, timeouts(PATIENCE)).await.unwrap();
    publisher.publish_window(&messages(1..2)).await.expect("the alarm is over");
    drop(publisher);
    let mut publisher = Publisher::connect(&vhost.url, timeouts(confirm)).await.unwrap();
    node.pause().unwrap();
    let error = publisher.publish_window(&messages(2..3)).await.expect_err("the node is frozen");
    assert!(matches!(error, PublishError::Timeout { ms: 500 }), "{error}");
    let error = Consumer::connect(&vhost.url, 1, confirm).await.err().expect("nobody answers");
    assert!(matches!(error, BrokerError::Timeout { .. }), "{error}");
    node.resume().unwrap();
    let consumer = Consumer::connect(&vhost.url, 1, PATIENCE).await.expect("it answers again");
    consumer.close().await;
    let holds = vhost.ctl(&["list_queues", "--quiet", "name", "messages"]);
    assert!(holds.contains(ORDERS), "{holds}");
}
