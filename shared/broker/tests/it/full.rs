//! The bounds of a process's own queue.

use std::time::Duration;

use spike_broker::{Consumer, Depth, PublishError, Publisher, Queue};

use crate::queue::{PATIENCE, messages, receive, receive_all};

#[tokio::test]
async fn a_full_queue_refuses_in_time_and_takes_more_when_there_is_room() {
    let queue = Queue::new(4, 10);
    let mut hasty = Publisher::in_process(&queue, Duration::from_millis(50));
    hasty.publish_window(&messages(0..3)).await.unwrap();
    let error = hasty.publish_window(&messages(3..6)).await.expect_err("there is room for one");
    assert!(matches!(error, PublishError::Timeout { ms: 50 }), "{error}");
    assert_eq!(queue.depth(), Depth { ready: 4, in_hand: 0, parked: 0, waiting: 0 });

    // What is in hand still takes its place.
    let mut consumer = Consumer::in_process(&queue, 10);
    let in_hand = receive_all(&mut consumer, 4).await;
    hasty.publish_window(&messages(6..7)).await.expect_err("all four are in hand");

    let mut patient = Publisher::in_process(&queue, PATIENCE);
    let window = messages(7..9);
    let publishing = tokio::spawn(async move { patient.publish_window(&window).await });
    consumer.ack(&[in_hand[0].tag, in_hand[2].tag]).await.unwrap();
    publishing.await.unwrap().expect("there is room for two");
    assert_eq!(receive(&mut consumer).await.message_id, "m7");
    // A message that is parked makes room as well.
    consumer.reject_to_parking(in_hand[1].tag).await.unwrap();
    hasty.publish_window(&messages(9..10)).await.expect("there is room for one");
    assert_eq!(queue.depth(), Depth { ready: 2, in_hand: 2, parked: 1, waiting: 0 });
}

#[tokio::test]
async fn what_is_given_back_lets_the_others_pass_and_what_is_dropped_comes_first() {
    let queue = Queue::new(100, 10);
    let mut publisher = Publisher::in_process(&queue, PATIENCE);
    publisher.publish_window(&messages(0..4)).await.unwrap();
    let mut consumer = Consumer::in_process(&queue, 2);
    let in_hand = receive_all(&mut consumer, 2).await;
    consumer.requeue(&[in_hand[0].tag, in_hand[1].tag]).await.unwrap();
    let ids = |deliveries: &[spike_broker::Delivery]| -> Vec<String> {
        deliveries.iter().map(|delivery| delivery.message_id.clone()).collect()
    };
    assert_eq!(ids(&receive_all(&mut consumer, 2).await), ["m2", "m3"]);
    drop(consumer);
    let mut consumer = Consumer::in_process(&queue, 10);
    assert_eq!(ids(&receive_all(&mut consumer, 4).await), ["m2", "m3", "m0", "m1"]);
}
