//! RabbitMQ or the database is gone: buys go on until the outbox is full, and everything arrives when it is back.

use spike_devstack::{MariaDbServer, RabbitServer, fixture};

use crate::http::call;
use crate::poll::until;
use crate::system::{Sale, System, order_of};

const CAP: usize = 10;

#[test]
fn without_a_broker_the_outbox_fills_and_then_drains() {
    let rabbit = RabbitServer::start(&fixture::folder("rabbit")).expect("a broker of our own");
    let amqp = rabbit.create_vhost("sale").expect("a virtual host");
    let system =
        System::start_on(&amqp, &fixture::database(), &[("SPIKE_OUTBOX_INFLIGHT_MAX", &CAP.to_string())]);
    check(&system, || rabbit.kill9(), || rabbit.restart().expect("it starts again"));
}

#[test]
fn without_a_database_the_outbox_fills_and_then_drains() {
    let mariadb = MariaDbServer::start(&fixture::folder("mariadb")).expect("a database of our own");
    let database = mariadb.create_database("sale").expect("a database");
    let system =
        System::start_on(&fixture::vhost(), &database, &[("SPIKE_OUTBOX_INFLIGHT_MAX", &CAP.to_string())]);
    let gone = || {
        mariadb.kill9();
        let login = r#"{"email":"admin@e2e.invalid","password":"whatever it is"}"#;
        let answer = call(system.http, "POST", "/api/v1/auth/login", &[], Some(login));
        assert_eq!(answer.refused(503), "unavailable", "what needs the database says so");
    };
    check(&system, gone, || mariadb.restart().expect("it starts again"));
}

fn check(system: &System, stop: impl FnOnce(), start: impl FnOnce()) {
    let event = system.open(Sale::of(30));
    let mut buyers = system.users(60).into_iter();

    stop();
    let mut acknowledged = Vec::new();
    for (user, token) in buyers.by_ref().take(CAP) {
        let answer = system.buy(event, &token, &[], None);
        assert_eq!(answer.status, 202, "{answer:?}");
        acknowledged.push((user, order_of(&answer)));
    }
    for (_, token) in buyers.by_ref().take(3) {
        let answer = system.buy(event, &token, &[], None);
        assert_eq!(answer.refused(503), "outbox-full");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }

    start();
    for (user, token) in buyers.take(20) {
        let order = until("the outbox drains and buys go on", || {
            let answer = system.buy(event, &token, &[], None);
            assert!(matches!(answer.status, 202 | 503), "{answer:?}");
            (answer.status == 202).then(|| order_of(&answer))
        });
        acknowledged.push((user, order));
    }
    let books = system.audit_acknowledged(event, &acknowledged);
    assert_eq!((books.S, books.R, books.L), (30, 0, 30));
}
