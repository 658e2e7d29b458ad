//! RabbitMQ keeps its virtual hosts, answers after a freeze, and takes its port mapper with it.

use std::fs;
use std::path::Path;

use spike_devstack::{RabbitServer, fixture};

#[test]
fn a_virtual_host_survives_kill_9_and_nothing_is_left_after_drop() {
    let server = RabbitServer::start(&fixture::folder("rabbitmq")).expect("started");
    let url = server.create_vhost("kept/one").expect("created");
    assert_eq!(url, format!("amqp://guest:guest@127.0.0.1:{}/kept%2fone", server.port()));
    server.kill9();
    assert!(server.ctl(&["list_vhosts"]).is_err());
    server.restart().expect("restarted");
    let hosts = server.ctl(&["--quiet", "list_vhosts", "name"]).expect("listed");
    assert!(hosts.lines().any(|line| line == "kept/one"), "{hosts}");
    assert_eq!(server.create_vhost("kept/one").expect("still there"), url);

    let state = fs::read_to_string(server.dir().join("server.state")).expect("recorded");
    let pids: Vec<&str> =
        state.lines().filter_map(|line| line.split_once("pid=")).map(|(_, pid)| pid).collect();
    assert_eq!(pids.len(), 2, "{state}");
    let running = |pid: &&str| Path::new("/proc").join(pid).exists();
    assert!(pids.iter().all(running));
    drop(server);
    assert!(!pids.iter().any(running));
}

#[test]
fn each_virtual_host_is_new_and_open_to_guest() {
    let (first, second) = (fixture::vhost(), fixture::vhost());
    assert_ne!(first, second);
    let name = first.rsplit('/').next().expect("a url has a path");
    let rights = fixture::rabbit().ctl(&["--quiet", "list_permissions", "--vhost", name]).expect("listed");
    assert!(rights.lines().any(|line| line == "guest\t.*\t.*\t.*"), "{rights}");
}
