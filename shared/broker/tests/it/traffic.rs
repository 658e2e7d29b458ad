//! What happens to messages on a healthy node.

use std::time::Duration;

use spike_broker::topology::{ORDERS, PARKING};
use spike_broker::{PublishError, Tag};

use crate::queue::{Vhost, messages, receive, receive_all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmed_window_arrives_whole_and_in_order() {
    let vhost = Vhost::shared().await;
    let mut publisher = vhost.publisher().await;
    for window in [messages(0..64), messages(64..65), messages([])] {
        publisher.publish_window(&window).await.unwrap();
    }
    publisher.close().await;

    let mut consumer = vhost.consumer(100).await;
    let deliveries = receive_all(&mut consumer, 65).await;
    for (delivery, sent) in deliveries.iter().zip(messages(0..65)) {
        assert_eq!((&delivery.message_id, &delivery.body), (&sent.message_id, &sent.body));
        assert_eq!((delivery.redelivered, delivery.delivery_count), (false, 0));
    }
    let tags: Vec<Tag> = deliveries.iter().map(|delivery| delivery.tag).collect();
    consumer.ack(&tags).await.unwrap();
    consumer.ack(&tags).await.expect("acknowledging twice is nothing, not a closed channel");
    vhost.until_queue_holds(ORDERS, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_fits_no_queue_is_an_error_and_the_next_connection_mends_it() {
    let vhost = Vhost::shared().await;
    let mut publisher = vhost.publisher().await;
    publisher.publish_window(&messages(0..8)).await.unwrap();
    vhost.ctl(&["delete_queue", ORDERS]);
    let window = messages(8..40);
    let error = publisher.publish_window(&window).await.expect_err("no queue takes them");
    let PublishError::Returned { message_id, reply } = error else { panic!("{error}") };
    assert!(window.iter().any(|message| message.message_id == message_id), "{message_id}");
    assert!(reply.contains("NO_ROUTE"), "{reply}");

    let mut publisher = vhost.publisher().await;
    publisher.publish_window(&window).await.expect("connecting declares the topology");
    vhost.until_queue_holds(ORDERS, 32).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefetch_bounds_what_is_in_hand_and_the_rest_comes_again() {
    let vhost = Vhost::shared().await;
    vhost.publisher().await.publish_window(&messages(0..5)).await.unwrap();
    let mut consumer = vhost.consumer(3).await;
    let in_hand = receive_all(&mut consumer, 3).await;
    let nothing = tokio::time::timeout(Duration::from_millis(300), consumer.next()).await;
    assert!(nothing.is_err(), "a fourth message came before one of the three was done");
    consumer.ack(&[in_hand[1].tag]).await.unwrap();
    assert_eq!(receive(&mut consumer).await.message_id, "m3");
    consumer.close().await;

    let mut consumer = vhost.consumer(10).await;
    let mut again = receive_all(&mut consumer, 4).await;
    again.sort_by(|a, b| a.message_id.cmp(&b.message_id));
    let seen: Vec<_> = again.iter().map(|delivery| (&*delivery.message_id, delivery.redelivered)).collect();
    assert_eq!(seen, [("m0", true), ("m2", true), ("m3", true), ("m4", false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_given_back_or_parked() {
    let vhost = Vhost::shared().await;
    vhost.publisher().await.publish_window(&messages(0..2)).await.unwrap();
    let mut consumer = vhost.consumer(10).await;
    let first = receive_all(&mut consumer, 2).await;
    consumer.requeue(&[first[0].tag]).await.unwrap();
    let again = receive(&mut consumer).await;
    assert_eq!((again.message_id.as_str(), again.redelivered, again.delivery_count), ("m0", true, 1));

    consumer.reject_to_parking(again.tag).await.unwrap();
    consumer.reject_to_parking(again.tag).await.expect("parking twice is nothing");
    consumer.ack(&[first[1].tag]).await.unwrap();
    vhost.until_queue_holds(PARKING, 1).await;
    vhost.until_queue_holds(ORDERS, 0).await;
}
