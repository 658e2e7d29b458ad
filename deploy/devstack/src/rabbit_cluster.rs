//! A private RabbitMQ cluster on 127.0.0.1: nodes in one folder, on one port mapper, with one cookie.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::ready::poll;
use crate::{Lifetime, RabbitServer};

/// How long an election may take on a loaded machine.
const ELECTION: Duration = Duration::from_secs(30);

/// Nodes that share virtual hosts, accounts and queues.
#[derive(Debug)]
pub struct RabbitCluster {
    // Last the one that started first: fields are dropped in this order, and the others live on its port mapper.
    nodes: Vec<RabbitServer>,
}

impl RabbitCluster {
    /// Starts `count` nodes below `dir` that end with this process, and joins them.
    ///
    /// # Errors
    /// As [`RabbitServer::start`], or a node that cannot join.
    pub fn start(dir: &Path, count: usize) -> anyhow::Result<RabbitCluster> {
        ensure!(count > 0, "a cluster has at least one node");
        let folder = |number: usize| dir.join(format!("node-{number}"));
        let first = RabbitServer::start(&folder(1))?;
        let others = std::thread::scope(|scope| {
            let start = |number| {
                let first = &first;
                scope.spawn(move || RabbitServer::start_beside(Some(first), &folder(number), Lifetime::Bound))
            };
            let started: Vec<_> = (2..=count).map(start).collect();
            let ended = started.into_iter().map(|node| node.join().expect("starting a node does not panic"));
            ended.collect::<anyhow::Result<Vec<_>>>()
        })?;
        // One after the other: a node can only join a cluster that nobody else is joining.
        for node in &others {
            join(node, &first)?;
        }
        let nodes = others.into_iter().rev().chain([first]).collect();
        Ok(RabbitCluster { nodes })
    }

    /// The nodes, the first to start first.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = &RabbitServer> {
        self.nodes.iter().rev()
    }

    /// Creates a virtual host, unless it exists, and returns the URLs of all nodes, separated by commas.
    ///
    /// # Errors
    /// When no node answers.
    pub fn create_vhost(&self, name: &str) -> anyhow::Result<String> {
        self.running()?.create_vhost(name)?;
        Ok(self.nodes().map(|node| node.url(name)).collect::<Vec<_>>().join(","))
    }

    /// Runs `rabbitmqctl` on a node that runs, and returns what it prints.
    ///
    /// # Errors
    /// As [`RabbitServer::ctl`], or when no node runs.
    pub fn ctl(&self, args: &[&str]) -> anyhow::Result<String> {
        self.running()?.ctl(args)
    }

    /// The node that leads a quorum queue; waits until one does.
    ///
    /// # Errors
    /// When there is no such queue, or no node of the cluster leads it in time.
    pub fn leader(&self, vhost: &str, queue: &str) -> anyhow::Result<&RabbitServer> {
        let leads = || {
            let row = self.row(vhost, queue, &["leader"]).ok()?;
            self.nodes().find(|node| node.node() == row[0] && node.pid().is_some())
        };
        poll(ELECTION, leads).with_context(|| format!("nobody leads {queue}"))
    }

    /// The nodes that hold a copy of a quorum queue, and those of them that are there.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn members(&self, vhost: &str, queue: &str) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        let row = self.row(vhost, queue, &["members", "online"])?;
        let nodes = |text: &str| -> Vec<String> {
            let inner = text.trim_matches(['[', ']']);
            inner.split(',').map(|node| node.trim().to_owned()).filter(|node| !node.is_empty()).collect()
        };
        Ok((nodes(&row[0]), nodes(&row[1])))
    }

    /// Starts a node that was killed; returns when it takes connections.
    ///
    /// # Errors
    /// As [`RabbitServer::start`].
    pub fn restart(&self, node: &RabbitServer) -> anyhow::Result<()> {
        node.respawn()
    }

    fn running(&self) -> anyhow::Result<&RabbitServer> {
        self.nodes().find(|node| node.pid().is_some()).context("no node of the cluster runs")
    }

    /// What `list_queues` says of one queue, a text a column.
    fn row(&self, vhost: &str, queue: &str, columns: &[&str]) -> anyhow::Result<Vec<String>> {
        let words =
            [&["--quiet", "--no-table-headers", "--vhost", vhost, "list_queues", "name"], columns].concat();
        let listed = self.ctl(&words)?;
        let mut rows = listed.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        let row = rows.find(|row| row.first().is_some_and(|name| name == queue) && row.len() > columns.len());
        Ok(row.with_context(|| format!("no queue {queue} in {listed:?}"))?.split_off(1))
    }
}

/// As an operator joins a node.
fn join(node: &RabbitServer, to: &RabbitServer) -> anyhow::Result<()> {
    node.ctl(&["--quiet", "stop_app"])?;
    node.ctl(&["--quiet", "join_cluster", &to.node()])?;
    node.ctl(&["--quiet", "start_app"])?;
    Ok(())
}
