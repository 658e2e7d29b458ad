//! What every broker does, whichever it is: the same tests on RabbitMQ and on the queue of a process.

use std::time::Duration;

use spike_broker::topology::{DELIVERY_LIMIT, ORDERS, PARKING};
use spike_broker::{Broker, Consumer, Publisher, Queue, Tag};

use crate::queue::{PATIENCE, Vhost, messages, receive, receive_all, timeouts};

/// Runs each contract below on both.
macro_rules! on_both {
    ($($contract:ident),* $(,)?) => {
        mod rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $contract() {
                super::$contract(super::Place::rabbitmq().await).await;
            })*
        }
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $contract() {
                super::$contract(super::Place::in_process()).await;
            })*
        }
    };
}

on_both!(
    a_confirmed_window_arrives_whole_and_in_order,
    prefetch_bounds_what_is_in_hand_and_the_rest_comes_again_in_order,
    a_message_is_given_back_or_parked,
    a_message_that_comes_back_for_ever_is_parked,
    consumers_share_the_queue,
);

/// A queue of a test's own.
struct Place {
    broker: Broker,
    vhost: Option<Vhost<'static>>,
}

impl Place {
    async fn rabbitmq() -> Self {
        let vhost = Vhost::shared().await;
        Self { broker: Broker::Amqp { url: vhost.url.clone() }, vhost: Some(vhost) }
    }

    fn in_process() -> Self {
        Self { broker: Broker::InProcess(Queue::default()), vhost: None }
    }

    async fn publisher(&self) -> Publisher {
        self.broker.publisher(timeouts(PATIENCE)).await.expect("a publisher")
    }

    async fn consumer(&self, prefetch: u16) -> Consumer {
        self.broker.consumer(prefetch, PATIENCE).await.expect("a consumer")
    }

    /// Waits until so many orders wait or are in hand, and so many are parked.
    async fn until_holds(&self, orders: usize, parked: usize) {
        match (&self.broker, &self.vhost) {
            (Broker::InProcess(queue), _) => {
                let depth = queue.depth();
                assert_eq!((depth.ready + depth.in_hand, depth.parked), (orders, parked));
            }
            (_, vhost) => {
                let vhost = vhost.as_ref().expect("RabbitMQ has one");
                vhost.until_queue_holds(ORDERS, orders).await;
                vhost.until_queue_holds(PARKING, parked).await;
            }
        }
    }
}

async fn a_confirmed_window_arrives_whole_and_in_order(place: Place) {
    let mut publisher = place.publisher().await;
    for window in [messages(0..64), messages(64..65), messages([])] {
        publisher.publish_window(&window).await.unwrap();
    }
    publisher.close().await;

    let mut consumer = place.consumer(100).await;
    let deliveries = receive_all(&mut consumer, 65).await;
    for (delivery, sent) in deliveries.iter().zip(messages(0..65)) {
        assert_eq!((&delivery.message_id, &delivery.body), (&sent.message_id, &sent.body));
        assert_eq!((delivery.redelivered, delivery.delivery_count), (false, 0));
    }
    let tags: Vec<Tag> = deliveries.iter().map(|delivery| delivery.tag).collect();
    consumer.ack(&tags).await.unwrap();
    consumer.ack(&tags).await.expect("acknowledging twice is nothing, not a closed channel");
    place.until_holds(0, 0).await;
}

async fn prefetch_bounds_what_is_in_hand_and_the_rest_comes_again_in_order(place: Place) {
    place.publisher().await.publish_window(&messages(0..5)).await.unwrap();
    let mut consumer = place.consumer(3).await;
    let in_hand = receive_all(&mut consumer, 3).await;
    let nothing = tokio::time::timeout(Duration::from_millis(300), consumer.next()).await;
    assert!(nothing.is_err(), "a fourth message came before one of the three was done");
    consumer.ack(&[in_hand[1].tag]).await.unwrap();
    assert_eq!(receive(&mut consumer).await.message_id, "m3");
    consumer.close().await;

    let mut consumer = place.consumer(10).await;
    let again = receive_all(&mut consumer, 4).await;
    let seen: Vec<_> = again.iter().map(|delivery| (&*delivery.message_id, delivery.redelivered)).collect();
    assert_eq!(seen, [("m0", true), ("m2", true), ("m3", true), ("m4", false)]);
    // A consumer that is dropped says no goodbye, and its messages come back all the same.
    drop(consumer);
    let mut consumer = place.consumer(10).await;
    let again = receive_all(&mut consumer, 4).await;
    assert!(again.iter().all(|delivery| delivery.redelivered), "{again:?}");
    place.until_holds(4, 0).await;
}

async fn a_message_is_given_back_or_parked(place: Place) {
    place.publisher().await.publish_window(&messages(0..2)).await.unwrap();
    let mut consumer = place.consumer(10).await;
    let first = receive_all(&mut consumer, 2).await;
    consumer.requeue(&[first[0].tag]).await.unwrap();
    consumer.requeue(&[first[0].tag]).await.expect("giving back twice is nothing");
    let again = receive(&mut consumer).await;
    assert_eq!((again.message_id.as_str(), again.redelivered, again.delivery_count), ("m0", true, 1));

    consumer.reject_to_parking(again.tag).await.unwrap();
    consumer.reject_to_parking(again.tag).await.expect("parking twice is nothing");
    consumer.ack(&[again.tag, first[1].tag]).await.unwrap();
    place.until_holds(0, 1).await;
}

async fn a_message_that_comes_back_for_ever_is_parked(place: Place) {
    place.publisher().await.publish_window(&messages(0..1)).await.unwrap();
    let mut consumer = place.consumer(10).await;
    for deliveries_before in 0..=u64::from(DELIVERY_LIMIT.unsigned_abs()) {
        let delivery = receive(&mut consumer).await;
        assert_eq!(delivery.delivery_count, deliveries_before);
        consumer.requeue(&[delivery.tag]).await.unwrap();
    }
    place.until_holds(0, 1).await;
    // The queue goes on without it.
    place.publisher().await.publish_window(&messages(1..2)).await.unwrap();
    assert_eq!(receive(&mut consumer).await.message_id, "m1");
}

async fn consumers_share_the_queue(place: Place) {
    let (mut one, mut other) = (place.consumer(1).await, place.consumer(1).await);
    place.publisher().await.publish_window(&messages(0..3)).await.unwrap();
    let (first, second) = (receive(&mut one).await, receive(&mut other).await);
    assert_ne!(first.message_id, second.message_id, "each message goes to one of them");
    other.ack(&[second.tag]).await.unwrap();
    assert_eq!(receive(&mut other).await.message_id, "m2");
    // A tag is worth nothing to another consumer: the first one's message stays its own.
    one.ack(&[first.tag]).await.unwrap();
    place.until_holds(1, 0).await;
}
