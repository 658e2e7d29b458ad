//! A hot core's line to a private Redis Cluster: slots that move under it, masters that change, replicas that lag.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spike_config::Config;
use spike_devstack::{RedisCluster, fixture};
use spike_domain::{
    Currency, EventDef, EventId, EventState, LedgerState, Money, OrderId, ProductId, UserId, Window,
};
use spike_gateway::hot::batch::Undecided;
use spike_gateway::hot::line::Line;
use spike_gateway::local::events::{EventLocal, LedgerView};
use spike_stock::reserve::{Buyer, Decided, Decision};
use spike_stock::stock::Timeouts;
use spike_stock::{Opening, Stock, StockError};

use super::core::{HotCore, Wishes};

const EVENT: EventId = EventId(7);
const EPOCH: u64 = 1_763_800_000_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// A core's line, the cluster it leads to, and the cold client that opens events on it.
struct Bench {
    cluster: RedisCluster,
    stock: Stock,
    tokio: tokio::runtime::Runtime,
    line: Rc<Line>,
}

/// Runs a test as a core runs: on monoio, its line ticking.
fn on_a_core(settings: &[(&str, &str)], test: impl AsyncFnOnce(Bench)) {
    let cluster = fixture::redis_cluster();
    let places = cluster.places();
    let urls: Vec<_> = places.iter().map(|place| format!("redis://{place}")).collect();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let timeouts = Timeouts { connect: PATIENCE, command: PATIENCE };
    let stock = tokio.block_on(async { Stock::cluster(&urls, timeouts) }).unwrap();
    let mut env: Vec<(String, String)> =
        settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    env.extend([
        ("SPIKE_REDIS_URL".to_owned(), urls[0].clone()),
        ("SPIKE_REDIS_NODES".to_owned(), places[1..].join(",")),
        ("SPIKE_REDIS_CLUSTER".to_owned(), "true".to_owned()),
    ]);
    let config = Config::load(None, env).unwrap_or_else(|errors| panic!("{errors}"));
    let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build().unwrap();
    runtime.block_on(async move {
        let line = Rc::new(Line::new(&config, None, || ()));
        let (running, ticking) = (line.clone(), line.clone());
        monoio::spawn(async move {
            let Line::Cluster { cluster, .. } = &*running else { panic!("a cluster was configured") };
            cluster.run().await;
        });
        monoio::spawn(async move {
            let begun = Instant::now();
            loop {
                let now_ms = u64::try_from(begun.elapsed().as_millis()).unwrap();
                ticking.tick(now_ms, config.hot.redis_timeout_ms);
                monoio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        test(Bench { cluster, stock, tokio, line }).await;
    });
}

impl Bench {
    /// Opens the event in `epoch` as a rebuild does and waits until the line sells it.
    async fn open(&self, epoch: u64) -> Arc<EventLocal> {
        let def = def();
        self.tokio.block_on(async {
            let ledger = self.begun(epoch).await;
            ledger.load(EVENT, epoch, &[], &[]).await.unwrap();
            let opening = Opening { state: LedgerState::Open, stock: 100, inflight: 0, cap: 1000, def: &def };
            ledger.open(EVENT, epoch, &opening).await.unwrap();
            ledger.load_fenced(EVENT, epoch).await.unwrap();
        });
        let view = LedgerView { epoch, state: LedgerState::Open, version: 1, stock: Some(100) };
        Arc::new(EventLocal::new(def, EventState::Open, Some(view), 500, None))
    }

    /// A rebuild that has taken the ledger; a node that has not heard of a new master yet sends it to the old one.
    async fn begun(&self, epoch: u64) -> Stock {
        let until = Instant::now() + PATIENCE;
        loop {
            let begun = match self.stock.for_rebuild(EVENT).await {
                Ok(ledger) => ledger.begin(EVENT, epoch).await.map(|_| ledger),
                Err(error) => Err(error),
            };
            match begun {
                Ok(ledger) => return ledger,
                Err(error @ StockError::Redis(_)) => assert!(Instant::now() < until, "{error}"),
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn buy(&self, event: &EventLocal, user: i64) -> Result<Decided, Undecided> {
        let epoch = event.ledger.unwrap().epoch;
        let key = Some(format!("{user:x}").into());
        let buyer = Buyer { user: UserId(user), order: OrderId::new(EPOCH), quantity: 1, key, trace: None };
        self.line.reserve(event, epoch, EPOCH, &[buyer]).await
    }

    async fn until_accepted(&self, event: &EventLocal, user: i64) {
        self.until(event, user, |outcome| {
            matches!(outcome, Ok(decided) if matches!(decided.decisions[0], Decision::Accepted | Decision::Known(_)))
        })
        .await;
    }

    async fn until(
        &self,
        event: &EventLocal,
        user: i64,
        wanted: impl Fn(&Result<Decided, Undecided>) -> bool,
    ) {
        let until = Instant::now() + PATIENCE;
        loop {
            let outcome = self.buy(event, user).await;
            if wanted(&outcome) {
                return;
            }
            assert!(Instant::now() < until, "{outcome:?}");
            monoio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn def() -> EventDef {
    EventDef {
        id: EVENT,
        product_id: ProductId(1),
        name: "Sale".into(),
        price: Money { minor: 100, currency: Currency::parse("EUR").unwrap() },
        total: 100,
        per_user_limit: 1,
        pay_timeout_s: 60,
        window: Window { starts_at_ms: 0, ends_at_ms: u64::MAX / 2 },
    }
}

#[test]
fn a_slot_is_followed_while_it_moves_and_when_it_has() {
    on_a_core(&[], async |bench| {
        let event = bench.open(EPOCH).await;
        bench.until_accepted(&event, 1).await;
        let from = bench.cluster.master_of(&event.keys.meta).unwrap();
        let to = (0..3).find(|&node| node != from).unwrap();
        let moving = bench.cluster.begin_move(&event.keys.meta, to).unwrap();
        for key in event.keys.all() {
            moving.carry(key).unwrap();
        }
        // Everything is there already, but the slot is not: both nodes must be asked.
        let look = bench.line.look(&event, UserId(1)).await.unwrap();
        assert_eq!((look.claim.map(|claim| claim.quantity), look.inflight), (Some(1), Some(1)));
        assert_eq!(bench.buy(&event, 2).await, Err(Undecided::Fenced), "the new master has no script");
        moving.finish().unwrap();
        assert_eq!(bench.buy(&event, 2).await, Err(Undecided::Fenced));
        let event = bench.open(EPOCH + 1).await;
        let decided = bench.buy(&event, 3).await.unwrap();
        assert_eq!((decided.decisions, decided.stock), (vec![Decision::Accepted], 99));
    });
}

#[test]
fn a_killed_master_is_left_for_its_replica_which_is_fenced() {
    on_a_core(&[], async |mut bench| {
        let event = bench.open(EPOCH).await;
        bench.until_accepted(&event, 1).await;
        let master = bench.cluster.master_of(&event.keys.meta).unwrap();
        let killed = bench.cluster.take(master);
        killed.kill9();
        let first = bench.buy(&event, 2).await;
        assert!(matches!(first, Err(Undecided::Down | Undecided::Unknown)), "{first:?}");
        bench.until(&event, 2, |outcome| *outcome == Err(Undecided::Fenced)).await;
        let event = bench.open(EPOCH + 1).await;
        bench.until_accepted(&event, 2).await;
        killed.restart().unwrap();
    });
}

#[test]
fn a_buy_that_no_replica_has_is_not_told() {
    on_a_core(&[("SPIKE_REDIS_WAIT_REPLICAS", "1")], async |bench| {
        let event = bench.open(EPOCH).await;
        bench.until_accepted(&event, 1).await;
        let master = bench.cluster.master_of(&event.keys.meta).unwrap();
        let replica = &bench.cluster.nodes()[bench.cluster.replica_of(master).unwrap()];
        replica.pause().unwrap();
        assert_eq!(bench.buy(&event, 2).await, Err(Undecided::Unknown));
        assert_eq!(bench.buy(&event, 2).await, Err(Undecided::Unknown), "nor that it was taken before");
        replica.resume().unwrap();
        bench.until(&event, 2, |outcome| {
            matches!(outcome, Ok(decided) if matches!(decided.decisions[0], Decision::Known(_)))
        })
        .await;
    });
}

#[test]
fn one_server_that_no_replica_follows_tells_nobody_of_an_order() {
    let env = [("SPIKE_REDIS_WAIT_REPLICAS", "1"), ("SPIKE_HOT_REDIS_TIMEOUT_MS", "2000")];
    let env = env.map(|(name, value)| (name, value.to_owned())).into();
    let core = HotCore::start_with(Wishes { env, stock: 1, ..Wishes::default() });
    let (token, mut client) = (core.token(1), core.client());
    for _ in 0..2 {
        let pressed = client.buy(&token, "Idempotency-Key: press-1\r\n", "");
        assert_eq!((pressed.status, pressed.reason().as_str()), (503, "outcome-unknown"));
    }
    assert_eq!(client.buy(&core.token(2), "", "").reason(), "sold-out", "which nobody can lose by");
}
