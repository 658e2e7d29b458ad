//! Three nodes are one broker: what one declares all hold, and it outlives its leader.

use spike_devstack::{RabbitCluster, fixture};

const QUEUE: &str = "kept";

#[test]
fn a_queue_of_three_members_outlives_its_leader_and_takes_it_back() {
    let cluster = RabbitCluster::start(&fixture::folder("rabbit-cluster"), 3).expect("three nodes");
    let names: Vec<String> = cluster.nodes().map(spike_devstack::RabbitServer::node).collect();
    let urls = cluster.create_vhost("sale").expect("a virtual host");
    assert_eq!(urls.split(',').count(), 3, "{urls}");
    let declare = format!(
        "{{new, _}} = rabbit_amqqueue:declare(rabbit_misc:r(<<\"sale\">>, queue, <<\"{QUEUE}\">>), true, false, \
         [{{<<\"x-queue-type\">>, longstr, <<\"quorum\">>}}], none, <<\"guest\">>), ok."
    );
    cluster.ctl(&["--quiet", "eval", &declare]).expect("declared");
    let sorted = |mut nodes: Vec<String>| {
        nodes.sort();
        nodes
    };
    let (members, online) = cluster.members("sale", QUEUE).expect("its members");
    assert_eq!((sorted(members), sorted(online)), (sorted(names.clone()), sorted(names.clone())));

    let leader = cluster.leader("sale", QUEUE).expect("a leader");
    let gone = leader.node();
    leader.kill9();
    let next = cluster.leader("sale", QUEUE).expect("another leader");
    assert_ne!(next.node(), gone);
    cluster.restart(leader).expect("it comes back");
    let (members, _) = cluster.members("sale", QUEUE).expect("its members");
    assert_eq!(sorted(members), sorted(names), "a node that was away is still one of them");
}
