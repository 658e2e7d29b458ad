//! A private Redis Cluster: three masters with a replica each, and what a test does to it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::ready::{START_DEADLINE, poll};
use crate::{RedisOptions, RedisServer, port};

/// How long a master may be silent before its replica takes its place.
pub const NODE_TIMEOUT: Duration = Duration::from_millis(1500);
const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
const HOST: &str = "127.0.0.1";

/// Six servers on 127.0.0.1 that share the slots; they end when the value is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts and joins six servers, each in a folder of its own in `dir`; returns when every slot is served and every
    /// replica has its master's data.
    ///
    /// # Errors
    /// As [`RedisServer::start`], or they have not found together within 60 s.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut nodes = Vec::with_capacity(2 * MASTERS);
        let mut buses = Vec::with_capacity(2 * MASTERS);
        for number in 0..2 * MASTERS {
            let bus = port::free()?;
            let extra = [
                "cluster-enabled yes".to_owned(),
                "cluster-config-file nodes.conf".to_owned(),
                format!("cluster-node-timeout {}", NODE_TIMEOUT.as_millis()),
                format!("cluster-port {bus}"),
                // A shard that fails over leaves the others selling.
                "cluster-require-full-coverage no".to_owned(),
                "repl-diskless-sync-delay 0".to_owned(),
            ];
            let options = RedisOptions { extra: extra.into(), ..RedisOptions::default() };
            nodes.push(RedisServer::start(&dir.join(format!("node{number}")), options)?);
            buses.push(bus);
        }
        let cluster = Self { nodes };
        cluster.join(&buses)?;
        Ok(cluster)
    }

    /// `host:port` of every node that is still here.
    pub fn places(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("{HOST}:{}", node.port())).collect()
    }

    /// The nodes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The number of the node that serves the slot of `key` now.
    ///
    /// # Errors
    /// Nobody does.
    pub fn master_of(&self, key: &str) -> anyhow::Result<usize> {
        // Only the master itself answers without sending the question on.
        let serves = |node: &RedisServer| node.pid().is_some() && node.command(&["EXISTS", key]).is_ok();
        self.nodes.iter().position(serves).with_context(|| format!("nobody serves {key}"))
    }

    /// The number of a replica of the node `master`.
    ///
    /// # Errors
    /// It has none that runs.
    pub fn replica_of(&self, master: usize) -> anyhow::Result<usize> {
        let id = self.id(master)?;
        let of_it = |node: &RedisServer| {
            let nodes = node.command(&["CLUSTER", "NODES"]).unwrap_or_default();
            node.pid().is_some()
                && nodes.lines().any(|line| line.contains("myself,slave") && line.contains(&id))
        };
        self.nodes.iter().position(of_it).with_context(|| format!("node {master} has no replica"))
    }

    /// Takes a node out, for the caller to kill and to start again; the cluster goes on counting on it.
    pub fn take(&mut self, number: usize) -> RedisServer {
        self.nodes.remove(number)
    }

    /// Sends a command about `words[1]`, a key, to the node that serves it.
    ///
    /// # Errors
    /// Nobody serves it, or as [`RedisServer::command`].
    pub fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        let key = words.get(1).context("a command about a key")?;
        self.nodes[self.master_of(key)?].command(words)
    }

    /// Has the replica of `master` take its place in good order, and waits until every node knows; returns its number.
    ///
    /// # Errors
    /// There is no replica, or it has not within 60 s.
    pub fn fail_over(&self, master: usize) -> anyhow::Result<usize> {
        let replica = self.replica_of(master)?;
        let became = |node: usize, role: &str| {
            self.nodes[node].command(&["INFO", "replication"]).is_ok_and(|info| info.contains(role))
        };
        let done = poll(START_DEADLINE, || {
            let done = became(replica, "role:master") && became(master, "role:slave");
            if !done {
                // Refused until the replica and its master know of each other.
                let _ = self.nodes[replica].command(&["CLUSTER", "FAILOVER"]);
            }
            done.then_some(())
        });
        ensure!(done.is_some(), "node {replica} has not taken over from node {master}");
        let id = self.id(replica)?;
        self.until("every node knows the new master", |node| {
            let nodes = node.command(&["CLUSTER", "NODES"])?;
            // Slots follow the eight fields that every node has.
            let serves = |line: &str| line.contains("master") && line.split_whitespace().count() > 8;
            Ok(nodes.lines().any(|line| line.starts_with(&id) && serves(line)))
        })?;
        Ok(replica)
    }

    /// Begins to move the slot of `key` to the node `to`: what its present master has not, `to` is asked for.
    ///
    /// # Errors
    /// As [`RedisServer::command`].
    pub fn begin_move(&self, key: &str, to: usize) -> anyhow::Result<SlotMove<'_>> {
        let from = self.master_of(key)?;
        let slot = self.nodes[from].command(&["CLUSTER", "KEYSLOT", key])?;
        let (from_id, to_id) = (self.id(from)?, self.id(to)?);
        self.nodes[to].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])?;
        self.nodes[from].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])?;
        Ok(SlotMove { cluster: self, key: key.to_owned(), slot, from, to, to_id })
    }

    fn id(&self, node: usize) -> anyhow::Result<String> {
        self.nodes[node].command(&["CLUSTER", "MYID"])
    }

    fn join(&self, buses: &[u16]) -> anyhow::Result<()> {
        for (number, node) in self.nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
            if number < MASTERS {
                let (first, last) = (number * SLOTS / MASTERS, (number + 1) * SLOTS / MASTERS - 1);
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
            }
            let (port, bus) = (self.nodes[0].port().to_string(), buses[0].to_string());
            if number > 0 {
                node.command(&["CLUSTER", "MEET", HOST, &port, &bus])?;
            }
        }
        self.until("every node knows every other", |node| {
            let nodes = node.command(&["CLUSTER", "NODES"])?;
            Ok(nodes.lines().count() == 2 * MASTERS && !nodes.contains("handshake"))
        })?;
        for number in MASTERS..2 * MASTERS {
            let master = self.id(number - MASTERS)?;
            self.nodes[number].command(&["CLUSTER", "REPLICATE", &master])?;
        }
        self.until("every slot is served and every replica linked", |node| {
            let (state, replication) =
                (node.command(&["CLUSTER", "INFO"])?, node.command(&["INFO", "replication"])?);
            let roles = node.command(&["CLUSTER", "NODES"])?.matches("slave").count();
            let linked =
                replication.contains("master_link_status:up") || replication.contains("state=online");
            Ok(state.contains("cluster_state:ok") && roles == MASTERS && linked)
        })
    }

    fn until(&self, what: &str, done: impl Fn(&RedisServer) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let running = || self.nodes.iter().filter(|node| node.pid().is_some());
        let all = || running().all(|node| done(node).unwrap_or(false)).then_some(());
        match poll(START_DEADLINE, all) {
            Some(()) => Ok(()),
            None => bail!("not within {} s: {what}", START_DEADLINE.as_secs()),
        }
    }
}

/// A slot on its way from one node to another.
#[derive(Debug)]
pub struct SlotMove<'a> {
    cluster: &'a RedisCluster,
    key: String,
    slot: String,
    from: usize,
    to: usize,
    to_id: String,
}

impl SlotMove<'_> {
    /// Carries a key over; one that is not there is no error.
    ///
    /// # Errors
    /// As [`RedisServer::command`].
    pub fn carry(&self, key: &str) -> anyhow::Result<()> {
        let port = self.cluster.nodes[self.to].port().to_string();
        self.cluster.nodes[self.from].command(&["MIGRATE", HOST, &port, key, "0", "5000"]).map(drop)
    }

    /// Gives the slot to its new node, on both, and waits until every other node knows.
    ///
    /// # Errors
    /// Keys are left behind, or as [`RedisServer::command`].
    pub fn finish(self) -> anyhow::Result<()> {
        for node in [self.to, self.from] {
            self.cluster.nodes[node].command(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &self.to_id])?;
        }
        let (to, slot) = (self.cluster.nodes[self.to].port(), &self.slot);
        let sent_on = format!("MOVED {slot} {HOST}:{to}");
        self.cluster.until("every node knows the slot's new place", |node| {
            let answer = node.command(&["EXISTS", &self.key]);
            Ok(node.port() == to || answer.is_err_and(|error| format!("{error:#}").contains(&sent_on)))
        })
    }
}
