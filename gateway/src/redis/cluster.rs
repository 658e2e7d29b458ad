//! A core's connections to a Redis Cluster: one [`Link`] a master, and the table that says which one has a slot.
//!
//! A node that has not a call's slot says where it is and has run nothing, so the call is made there, a bounded number of
//! times. A call that left on a connection that broke stays `Unknown` as on one server. The table is asked for anew, of
//! any node, when a node sends a call elsewhere, while a master cannot be reached, and every few seconds.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use spike_config::{HostPort, RedisEndpoint};

use super::link::{self, Copies, Kept, Link, LinkError};
use super::once::{Sender, once};
use super::resp::Reply;
use super::slots::{Redirect, SlotTable, not_there};

/// How often one call is sent on: once for a slot that has moved, once more for one that is on its way.
const REDIRECTS_MAX: usize = 2;
/// The table is asked for at most this often.
const REFRESH_GAP: Duration = Duration::from_millis(200);
/// And at least this often.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for a node's table; another node is asked then.
const TABLE_WAIT_MAX: Duration = Duration::from_millis(500);
/// Longest wait of a call for a connection to the node it was sent on to.
const CONNECT_WAIT_MAX: Duration = Duration::from_millis(500);
/// How long a connection to a node without a slot is kept after its last call.
const KEPT_MS: u64 = 60_000;

/// The connections of one core; clones share them.
#[derive(Clone)]
pub struct Cluster(Rc<Inner>);

struct Inner {
    seeds: Vec<RedisEndpoint>,
    connect_timeout: Duration,
    on_reconnect: Box<dyn Fn()>,
    table: RefCell<SlotTable>,
    /// The links of the table's masters, in their order.
    masters: RefCell<Vec<Rc<Node>>>,
    nodes: RefCell<HashMap<HostPort, Rc<Node>>>,
    now_ms: Cell<u64>,
    wanted: Cell<bool>,
    waker: RefCell<Option<Sender<()>>>,
}

struct Node {
    place: HostPort,
    link: Link,
    used_ms: Cell<u64>,
}

impl Cluster {
    /// The cluster that `seeds` belong to; [`Cluster::run`] connects. `on_reconnect` is told of every connection to a node
    /// after its first.
    pub fn new(
        seeds: Vec<RedisEndpoint>,
        connect_timeout: Duration,
        on_reconnect: impl Fn() + 'static,
    ) -> Self {
        Self(Rc::new(Inner {
            seeds,
            connect_timeout,
            on_reconnect: Box::new(on_reconnect),
            table: RefCell::default(),
            masters: RefCell::default(),
            nodes: RefCell::default(),
            now_ms: Cell::default(),
            wanted: Cell::default(),
            waker: RefCell::default(),
        }))
    }

    /// Sends one command about keys of `slot` to its master, wherever that is, and waits for its reply and the copies.
    ///
    /// # Errors
    /// [`LinkError::Down`]: nothing happened, also because no node would take it. [`LinkError::Unknown`] as for [`Link`].
    pub async fn call(
        &self,
        slot: u16,
        encode: impl Fn(&mut Vec<u8>),
        copies: Option<Copies>,
    ) -> Result<Kept, LinkError> {
        let Some(mut node) = self.master(slot) else {
            self.want_table();
            return Err(LinkError::Down);
        };
        let mut kept = node.link.call_kept(false, &encode, copies).await;
        for _ in 0..REDIRECTS_MAX {
            let Ok(Some(redirect)) = kept.as_ref().map(|kept| Redirect::of(&kept.reply, &node.place)) else {
                break;
            };
            let asking = matches!(redirect, Redirect::Ask { .. });
            node = self.follow(redirect);
            self.until_up(&node.link).await;
            kept = node.link.call_kept(asking, &encode, copies).await;
        }
        match kept {
            Ok(kept) if not_there(&kept.reply) => {
                self.want_table();
                Err(LinkError::Down)
            }
            other => other,
        }
    }

    /// Keeps the table, for as long as the core runs.
    pub async fn run(&self) {
        let mut failures: u32 = 0;
        loop {
            match self.refresh().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    if failures.is_power_of_two() {
                        tracing::warn!(%error, failures, "no node of the Redis Cluster tells its slots");
                    }
                }
            }
            monoio::time::sleep(REFRESH_GAP + jitter(REFRESH_GAP / 2)).await;
            let wait = {
                let (waker, woken) = once();
                *self.0.waker.borrow_mut() = Some(waker);
                woken
            };
            if failures == 0 && !self.0.wanted.replace(false) {
                // Either way the table is asked for; which one it was is of no interest.
                let _ = monoio::time::timeout(REFRESH_EVERY + jitter(REFRESH_EVERY / 5), wait).await;
            }
            self.0.wanted.set(false);
        }
    }

    /// Called by the core's tick: see [`Link::tick`].
    pub fn tick(&self, now_ms: u64, timeout_ms: u64) {
        self.0.now_ms.set(now_ms);
        for node in self.0.nodes.borrow().values() {
            node.link.tick(now_ms, timeout_ms);
        }
        if self.0.masters.borrow().iter().any(|node| !node.link.up()) {
            self.want_table();
        }
    }

    fn master(&self, slot: u16) -> Option<Rc<Node>> {
        let owner = self.0.table.borrow().owner(slot)?;
        Some(self.0.masters.borrow()[owner].clone())
    }

    /// The node a call is sent on to; what was said of its slot is believed at once, the rest is asked for.
    fn follow(&self, redirect: Redirect) -> Rc<Node> {
        let to = match redirect {
            Redirect::Ask { to } => to,
            Redirect::Moved { slot, to } => {
                self.0.table.borrow_mut().moved(slot, to.clone());
                self.connect_masters();
                self.want_table();
                to
            }
        };
        self.node(&to)
    }

    /// Asks for the table as soon as the gap allows.
    fn want_table(&self) {
        self.0.wanted.set(true);
        drop(self.0.waker.borrow_mut().take());
    }

    /// A connection that is new may take a moment.
    async fn until_up(&self, link: &Link) {
        let mut waited = Duration::ZERO;
        let pause = Duration::from_millis(2);
        while !link.up() && waited < CONNECT_WAIT_MAX.min(self.0.connect_timeout) {
            monoio::time::sleep(pause).await;
            waited += pause;
        }
    }

    async fn refresh(&self) -> std::io::Result<()> {
        let mut failed = std::io::Error::other("the settings name no node");
        for place in self.places() {
            let endpoint = self.0.seeds[0].at(place.0.clone(), place.1);
            let wait = TABLE_WAIT_MAX.min(self.0.connect_timeout);
            match link::ask(&endpoint, wait, &[b"CLUSTER", b"SLOTS"]).await {
                Ok(reply) => {
                    if let Some(table) = SlotTable::read(&reply, &place) {
                        self.adopt(table);
                        return Ok(());
                    }
                    let why = match reply {
                        Reply::Error(said) => String::from_utf8_lossy(&said).into_owned(),
                        _ => "knows of no slots".to_owned(),
                    };
                    failed = std::io::Error::other(format!("{}:{}: {why}", place.0, place.1));
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Whom to ask, in turn: any node known, in any order, because one cut off from the others does not know that it is; then
    /// the settings' own.
    fn places(&self) -> Vec<HostPort> {
        let mut places: Vec<HostPort> = self.0.table.borrow().nodes().cloned().collect();
        fastrand::shuffle(&mut places);
        places.extend(self.0.seeds.iter().map(|seed| (seed.host.clone(), seed.port)));
        places
    }

    fn adopt(&self, table: SlotTable) {
        if *self.0.table.borrow() != table {
            let masters: Vec<String> =
                table.masters().iter().map(|(host, port)| format!("{host}:{port}")).collect();
            tracing::info!(?masters, "the Redis Cluster's slots have changed");
        }
        *self.0.table.borrow_mut() = table;
        self.connect_masters();
        self.close_others();
    }

    fn connect_masters(&self) {
        let places = self.0.table.borrow().masters().to_vec();
        *self.0.masters.borrow_mut() = places.iter().map(|place| self.node(place)).collect();
    }

    fn close_others(&self) {
        let (table, now_ms) = (self.0.table.borrow(), self.0.now_ms.get());
        self.0.nodes.borrow_mut().retain(|place, node| {
            let stays =
                table.masters().contains(place) || now_ms.saturating_sub(node.used_ms.get()) < KEPT_MS;
            if !stays {
                node.link.close();
            }
            stays
        });
    }

    /// A node with its connection, made now if it is new.
    fn node(&self, place: &HostPort) -> Rc<Node> {
        let mut nodes = self.0.nodes.borrow_mut();
        let node = nodes.entry(place.clone()).or_insert_with(|| self.start(place)).clone();
        node.used_ms.set(self.0.now_ms.get());
        node
    }

    fn start(&self, place: &HostPort) -> Rc<Node> {
        let (link, cluster) = (Link::new(), self.clone());
        let (running, endpoint) = (link.clone(), self.0.seeds[0].at(place.0.clone(), place.1));
        monoio::spawn(async move {
            let first = Cell::new(true);
            let on_up = || {
                if !first.replace(false) {
                    (cluster.0.on_reconnect)();
                }
            };
            running.run(&endpoint, cluster.0.connect_timeout, on_up).await;
        });
        Rc::new(Node { place: place.clone(), link, used_ms: Cell::new(self.0.now_ms.get()) })
    }
}

fn jitter(most: Duration) -> Duration {
    most.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests;
