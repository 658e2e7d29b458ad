//! What only a broker with exchanges can do: return a message that fits no queue.

use spike_broker::PublishError;
use spike_broker::topology::ORDERS;

use crate::queue::{Vhost, messages};

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
