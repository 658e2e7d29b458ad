//! The gateway itself, one hot core of it: what every peer is compared with.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use spike_config::Config;
use spike_domain::{EventDef, EventState, LedgerState, clock};
use spike_gateway::bridge::bridge;
use spike_gateway::hot;
use spike_gateway::local::SaleClock;
use spike_gateway::local::events::{EventLocal, EventTable, LedgerView};
use spike_gateway::shared::{Drain, DrainPhase, Limits, Seats, Shared};
use spike_gateway::tokens::Tokens;
use spike_telemetry::Counters;
use tokio::sync::Notify;

use super::client::{Client, until};
use super::shop::{EPOCH, EVENT, token};

/// A running core. Nothing stands behind its bridge.
pub struct Gateway {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    core: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Gateway {
    /// A core that sells `def` and has reached Redis.
    pub fn start(config: Config, def: EventDef) -> Self {
        let (entrance, _) = bridge(config.sidecar.bridge_capacity);
        let shared = Arc::new(Shared {
            embedded: None,
            events: EventTable::default(),
            clock: SaleClock::new(clock::now_ms()),
            tokens: Arc::new(Tokens::new(&config.auth)),
            limits: Limits::new(&config.limits),
            counters: Counters::new(1),
            bridge: entrance,
            relay_wake: Arc::new(Notify::new()),
            follower_wake: Arc::new(Notify::new()),
            connections: Seats::new(config.http.connections_max),
            drain: Drain::default(),
            traces: None,
            failed_buys: Default::default(),
            config: Arc::new(config),
        });
        shared.tokens.revocations().mark_loaded();
        let stock = Some(u64::from(def.total));
        let view = LedgerView { epoch: EPOCH, state: LedgerState::Open, version: 1, stock };
        let event = EventLocal::new(def, EventState::Open, Some(view), 60_000, None);
        shared.events.replace(HashMap::from([(EVENT, Arc::new(event))]));
        shared.events.mark_complete();
        let listener = hot::listener::bind("127.0.0.1:0".parse().unwrap(), 128).unwrap();
        let address = listener.local_addr().unwrap();
        let of_core = shared.clone();
        let core = std::thread::spawn(move || hot::core::run(&of_core, 0, None, listener));
        let this = Self { address, shared, core: Some(core) };
        this.wait_for_redis();
        this
    }

    /// Asks for the order of a user who has none, from another address: the buckets of those who press stay full.
    fn wait_for_redis(&self) {
        let token = token(&self.shared.config, i64::MAX, 0);
        let ask = format!(
            "GET /api/v1/spike/events/{EVENT}/orders/mine HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let mut client = Client::connect_from([127, 0, 0, 2], self.address);
        until("the core reaches Redis", || {
            client.send(ask.as_bytes());
            client.answer().status == 404
        });
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.drain.advance(DrainPhase::Over);
        let ended = self.core.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().expect("no request may take the core down").expect("the core ends cleanly");
        }
    }
}
