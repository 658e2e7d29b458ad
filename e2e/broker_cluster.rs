//! A broker of three nodes loses the one that leads the queue of orders, in the middle of a sale.

use spike_broker::topology::ORDERS;
use spike_devstack::{RabbitCluster, fixture};
use spike_domain::clock::now_ms;

use crate::poll::until;
use crate::system::{Sale, System};

const STOCK: u32 = 2_000;

#[test]
fn the_leader_of_the_queue_is_killed_and_the_sale_goes_on() {
    let cluster = RabbitCluster::start(&fixture::folder("rabbit-cluster"), 3).expect("three nodes");
    let amqp = cluster.create_vhost("sale").expect("a virtual host");
    let republish = ("SPIKE_RELAY_REPUBLISH_AFTER_MS", "1500");
    let system =
        System::start_on(&amqp, &fixture::database(), &[("SPIKE_RELAY_CLAIM_IDLE_MS", "500"), republish]);
    let names = || cluster.nodes().map(spike_devstack::RabbitServer::node).collect::<Vec<_>>();
    let all = |mut nodes: Vec<String>| {
        let mut names = names();
        nodes.sort();
        names.sort();
        nodes == names
    };
    let (members, _) = cluster.members("sale", ORDERS).expect("the queue");
    assert!(all(members.clone()), "every node has a copy, as the code declares it: {members:?}");

    let event = system.open(Sale { opens_in_ms: 2_000, ..Sale::of(STOCK) });
    let running = system.storm(event, now_ms() + 2_500, 2_500, 2);
    running.wait_accepted(200);
    let leader = cluster.leader("sale", ORDERS).expect("a leader");
    leader.kill9();
    let (result, audit) = system.audit(event, STOCK.into(), running);
    // All of it is told, published, written and settled while the node is still gone.
    assert!(audit.clean(), "{:?}", audit.differences);
    let (counts, words) = (result.figures.counts, &result.figures.words);
    assert_eq!((counts.errors, counts.accepted), (0, STOCK.into()), "{words:?}");
    assert_eq!((audit.conservation.L, audit.conservation.R), (STOCK.into(), 0), "{:?}", audit.conservation);
    assert_ne!(cluster.leader("sale", ORDERS).expect("another leader").node(), leader.node());

    cluster.restart(leader).expect("it starts again");
    until("every copy is there again", || {
        let (members, online) = cluster.members("sale", ORDERS).ok()?;
        (all(members) && all(online)).then_some(())
    });
    let event = system.open(Sale::of(1));
    let (user, token) = system.user();
    let answer = system.buy(event, &token, &[], None);
    assert_eq!(answer.status, 202, "{answer:?}");
    system.audit_acknowledged(event, &[(user, crate::system::order_of(&answer))]);
}
