//! A broker that a former version has declared its queues on.

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties, ExchangeKind};
use spike_broker::topology::{ORDERS, PARKED, PARKING};
use spike_broker::{Consumer, Forward, Inbox, Outgoing, Route, Trail};

use crate::queue::{PATIENCE, Vhost, receive};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_former_version_parked_is_read_and_its_queue_gets_nothing_new() {
    let vhost = Vhost::shared().await;
    park_as_before(&vhost.url).await;

    let mut consumer = Consumer::connect_to(&vhost.url, Inbox::Parking, 10, PATIENCE).await.unwrap();
    let old = receive(&mut consumer).await;
    assert_eq!((old.message_id.as_str(), old.body.as_slice()), ("old", &b"{}"[..]));
    let message = Outgoing { message_id: "new".into(), body: b"[]".to_vec() };
    let trail = Trail { parked_from: ORDERS.into(), reason: "no".into(), ..Trail::default() };
    let parked = Forward { to: Route::Parking, message, trail };
    vhost.publisher().await.forward(&[parked]).await.unwrap();
    let new = receive(&mut consumer).await;
    assert_eq!(new.message_id, "new");
    vhost.until_queue_holds(PARKING, 1).await;
    vhost.until_queue_holds(PARKED, 1).await;
    consumer.ack(&[old.tag, new.tag]).await.unwrap();
    vhost.until_queue_holds(PARKING, 0).await;
    vhost.until_queue_holds(PARKED, 0).await;

    // An operator may delete the empty queue; what is read goes on.
    vhost.ctl(&["delete_queue", PARKING]);
    consumer.close().await;
    Consumer::connect_to(&vhost.url, Inbox::Parking, 10, PATIENCE).await.unwrap().close().await;
}

/// The parking queue as it was, with a message in it.
async fn park_as_before(url: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let exchange = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let queue = QueueDeclareOptions { durable: true, ..Default::default() };
    let none = FieldTable::default;
    channel.exchange_declare(PARKING.into(), ExchangeKind::Direct, exchange, none()).await.unwrap();
    channel.queue_declare(PARKING.into(), queue, arguments).await.unwrap();
    let bind = QueueBindOptions::default();
    channel.queue_bind(PARKING.into(), PARKING.into(), PARKING.into(), bind, none()).await.unwrap();
    let properties = BasicProperties::default().with_delivery_mode(2).with_message_id("old".into());
    let options = BasicPublishOptions::default();
    let publish = channel.basic_publish(PARKING.into(), PARKING.into(), options, b"{}", properties);
    assert!(publish.await.unwrap().await.unwrap().is_ack());
    connection.close(200, "bye".into()).await.unwrap();
}
