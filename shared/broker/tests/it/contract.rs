//! What every broker does, whichever it is: the same tests on RabbitMQ and on the queue of a process.

use std::time::{Duration, Instant};

use spike_broker::topology::{CANCEL, DELIVERY_LIMIT, ORDERS, PARKED};
use spike_broker::{Broker, Consumer, Forward, Inbox, Lookout, Publisher, Queue, Route, Tag, Trail};

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
    a_message_put_off_comes_when_its_time_is_over_with_its_trail,
    the_parking_queue_is_read_with_the_reason_and_keeps_what_nobody_has_stored,
    orders_to_cancel_have_a_queue_of_their_own,
    the_look_out_sees_what_waits_and_who_reads,
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

    async fn consumer_of(&self, inbox: Inbox) -> Consumer {
        self.broker.consumer_of(inbox, 10, PATIENCE).await.expect("a consumer")
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
                vhost.until_queue_holds(PARKED, parked).await;
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
    let parked = receive(&mut place.consumer_of(Inbox::Parking).await).await;
    assert_eq!((parked.message_id.as_str(), parked.trail.parked_from.as_str()), ("m0", ORDERS));
    assert!(parked.trail.reason.contains("delivery_limit"), "{parked:?}");
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

async fn a_message_put_off_comes_when_its_time_is_over_with_its_trail(place: Place) {
    let (short, long) = (Duration::from_millis(700), Duration::from_millis(1500));
    let trail =
        |attempts, rests| Trail { attempts, rests, reason: "no röom".into(), parked_from: String::new() };
    let [one, two, three] = messages(1..4).try_into().unwrap();
    let window = [
        Forward { to: Route::Retry(long), message: one.clone(), trail: trail(2, 0) },
        Forward { to: Route::Retry(short), message: two.clone(), trail: trail(0, 3) },
        Forward { to: Route::Orders, message: three.clone(), trail: Trail::default() },
    ];
    let mut publisher = place.publisher().await;
    let sent = Instant::now();
    publisher.forward(&window).await.unwrap();
    let mut consumer = place.consumer(10).await;
    for (sent_on, wait) in [(&window[2], Duration::ZERO), (&window[1], short), (&window[0], long)] {
        let delivery = receive(&mut consumer).await;
        assert_eq!(delivery.message_id, sent_on.message.message_id);
        assert_eq!((&delivery.body, &delivery.trail), (&sent_on.message.body, &sent_on.trail));
        assert_eq!(delivery.delivery_count, 0, "waiting is no delivery");
        assert!(sent.elapsed() >= wait, "{} came after {:?}", delivery.message_id, sent.elapsed());
        consumer.ack(&[delivery.tag]).await.unwrap();
    }
    place.until_holds(0, 0).await;
    publisher.close().await;
}

async fn the_parking_queue_is_read_with_the_reason_and_keeps_what_nobody_has_stored(place: Place) {
    let [one] = messages(1..2).try_into().unwrap();
    let trail =
        Trail { attempts: 5, rests: 1, reason: "nobody can write it".into(), parked_from: ORDERS.into() };
    let parked = Forward { to: Route::Parking, message: one.clone(), trail: trail.clone() };
    place.publisher().await.forward(&[parked]).await.unwrap();
    place.until_holds(0, 1).await;
    // A worker that dies before it has stored it, twice.
    for before in 0..2 {
        let mut consumer = place.consumer_of(Inbox::Parking).await;
        let delivery = receive(&mut consumer).await;
        assert_eq!((&delivery.body, &delivery.trail), (&one.body, &trail));
        assert_eq!(delivery.redelivered, before > 0);
    }
    place.until_holds(0, 1).await;
    let mut consumer = place.consumer_of(Inbox::Parking).await;
    let delivery = receive(&mut consumer).await;
    consumer.ack(&[delivery.tag]).await.unwrap();
    place.until_holds(0, 0).await;
}

async fn orders_to_cancel_have_a_queue_of_their_own(place: Place) {
    let wait = Duration::from_millis(600);
    let [one, two] = messages(1..3).try_into().unwrap();
    let delayed = |message| Forward { to: Route::Cancel(wait), message, trail: Trail::default() };
    let sent = Instant::now();
    place.publisher().await.forward(&[delayed(one), delayed(two)]).await.unwrap();
    let mut consumer = place.consumer_of(Inbox::Cancel).await;
    let deliveries = [receive(&mut consumer).await, receive(&mut consumer).await];
    assert!(sent.elapsed() >= wait, "{:?}", sent.elapsed());
    assert_eq!(deliveries.each_ref().map(|delivery| delivery.message_id.as_str()), ["m1", "m2"]);
    consumer.ack(&[deliveries[0].tag]).await.unwrap();
    drop(consumer);
    let mut consumer = place.consumer_of(Inbox::Cancel).await;
    assert_eq!(receive(&mut consumer).await.message_id, "m2", "what was not done comes again");
    place.until_holds(0, 0).await;
    if let Some(vhost) = &place.vhost {
        vhost.until_queue_holds(CANCEL, 1).await;
    }
}

async fn the_look_out_sees_what_waits_and_who_reads(place: Place) {
    let mut lookout = Lookout::new(place.broker.clone(), PATIENCE);
    let mut seen = async |inbox: Inbox, messages: u64, consumers: u64| {
        let until = Instant::now() + PATIENCE;
        loop {
            let states = lookout.look().await.expect("it can be asked");
            assert_eq!(states.iter().map(|state| state.inbox).collect::<Vec<_>>(), Inbox::ALL);
            let state = states.into_iter().find(|state| state.inbox == inbox).expect("it is among all");
            if (state.messages, state.consumers) == (messages, consumers) {
                return;
            }
            assert!(Instant::now() < until, "{state:?}, not {messages} and {consumers}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    seen(Inbox::Orders, 0, 0).await;
    place.publisher().await.publish_window(&messages(0..3)).await.expect("confirmed");
    seen(Inbox::Orders, 3, 0).await;
    let mut consumer = place.consumer(10).await;
    receive_all(&mut consumer, 3).await;
    seen(Inbox::Orders, 0, 1).await;
    seen(Inbox::Cancel, 0, 0).await;
    consumer.close().await;
    seen(Inbox::Orders, 3, 0).await;
}
