//! An upgrade in the middle of a sale: processes of a former version, built from its commit, and of this one side by side.
//!
//! The order is the runbook's: schema, workers, gateways. The two versions have different reserve scripts, so that each sells
//! behind a fence of its own. In the middle of it Redis restarts and forgets the scripts of both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use spike_devstack::fixture;
use spike_domain::{EventId, OrderId, UserId};

use crate::balancer::{Balancer, Target};
use crate::http;
use crate::poll::{lasting, until};
use crate::process::{Process, run, spike};
use crate::system::{Addresses, Sale, System, order_of, orders_path};

/// The former version's binary, as `make upgrade-test` has built it.
const FORMER: &str = "SPIKE_TEST_FORMER";
const BUYERS: usize = 40_000;
const THREADS: usize = 4;
/// Between two presses of a thread, so that a sale outlasts an upgrade.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

/// Buyers who press once each, again and again with their key until they have an order.
#[derive(Default)]
struct Crowd {
    over: AtomicBool,
    told: Mutex<Vec<(UserId, OrderId)>>,
    refused: Mutex<BTreeMap<String, u64>>,
}

impl Crowd {
    fn press(&self, at: &Balancer, event: EventId, buyers: &[(UserId, String)]) {
        for (user, token) in buyers {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let (bearer, key) = (format!("Bearer {token}"), format!("upgrade-{user}"));
            let headers = [("Authorization", &*bearer), ("Idempotency-Key", &*key)];
            let order = until("an order", || {
                let answer = http::try_call(at.address(), "POST", &orders_path(event), &headers, None);
                match answer {
                    Some(answer) if answer.status == 202 => return Some(order_of(&answer)),
                    Some(answer) => self.note(answer.reason()),
                    None => self.note("no answer".into()),
                }
                None
            });
            self.told.lock().unwrap_or_else(PoisonError::into_inner).push((*user, order));
            lasting(PAUSE);
        }
        assert!(self.over.load(Ordering::Relaxed), "the upgrade took longer than there are buyers");
    }

    fn note(&self, word: String) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(word).or_default() += 1;
    }

    fn refused(&self) -> BTreeMap<String, u64> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn sold_by(gateway: &Process) -> u64 {
    gateway.counted("spike_gateway_requests_total", &["route=\"buy\"", "outcome=\"accepted\""])
}

fn written_by(worker: &Process) -> u64 {
    worker.counted("spike_worker_orders_total", &["status=\"pending\""])
}

/// Waits until each of them has done more than it has now.
fn all_go_on(gateways: &[&Process], workers: &[&Process]) {
    let counts = || -> Vec<u64> {
        gateways.iter().map(|one| sold_by(one)).chain(workers.iter().map(|one| written_by(one))).collect()
    };
    let before = counts();
    until("every gateway sells and every worker writes", || {
        counts().iter().zip(&before).all(|(now, before)| now > before).then_some(())
    });
}

/// The steps of the upgrade, while the crowd presses; the system's own gateway and worker are of the former version.
fn upgrade(
    system: &mut System,
    balancer: &Balancer,
    crowd: &Crowd,
    former: (Process, Process),
) -> [Process; 4] {
    let (former_gateway, former_worker) = former;
    all_go_on(&[&system.gateway, &former_gateway], &[&system.worker, &former_worker]);
    assert_eq!(crowd.refused(), BTreeMap::new(), "before anything is done");

    let output = run(&["migrate"], system.worker.env(), &fixture::folder("migrate"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let worker = system.worker_of(spike());
    all_go_on(&[&system.gateway, &former_gateway], &[&system.worker, &former_worker, &worker]);
    former_worker.leave();

    let (gateway, http) = system.gateway_of(spike());
    balancer.add(Target { http, ops: gateway.ops() });
    all_go_on(&[&system.gateway, &former_gateway, &gateway], &[&system.worker, &worker]);
    former_gateway.leave();
    let so_far = crowd.refused();
    let by_the_new =
        gateway.counted("spike_gateway_requests_total", &["route=\"buy\"", "outcome=\"unavailable\""]);
    println!("refused until both versions sold: {so_far:?}, as unavailable by the new gateway: {by_the_new}");
    // Recovering: while the new worker opens its fence. Unavailable: by a gateway whose cores are not yet connected to Redis.
    assert!(so_far.keys().all(|word| word == "recovering" || word == "unavailable"), "{so_far:?}");

    // Half way, the worst moment: each version's worker opens the fence of its own gateways.
    system.redis.kill9();
    system.redis.restart().expect("it starts again");
    all_go_on(&[&system.gateway, &gateway], &[&system.worker, &worker]);

    let (second_gateway, http) = system.gateway_of(spike());
    balancer.add(Target { http, ops: second_gateway.ops() });
    system.gateway.signal(libc::SIGTERM);
    assert!(system.gateway.ended().success());
    let second_worker = system.worker_of(spike());
    system.worker.signal(libc::SIGTERM);
    assert!(system.worker.ended().success());
    all_go_on(&[&gateway, &second_gateway], &[&worker, &second_worker]);
    [gateway, second_gateway, worker, second_worker]
}

#[test]
#[ignore = "builds a former version first: make upgrade-test"]
fn a_sale_goes_on_while_every_process_is_replaced() {
    let former = PathBuf::from(std::env::var_os(FORMER).expect("make upgrade-test"));
    let redis = fixture::redis();
    let database = fixture::database();
    let addresses =
        Addresses { redis: redis.url(), amqp: fixture::vhost(), database: database.clone(), migration: None };
    let quick = [("SPIKE_RELAY_CLAIM_IDLE_MS", "500"), ("SPIKE_RELAY_REPUBLISH_AFTER_MS", "1500")];
    let mut system = System::start_of(&former, redis, &addresses, &database, &quick);
    let (second_gateway, http) = system.second_gateway();
    let second_worker = system.second_worker();
    let targets =
        [Target { http: system.http, ops: system.gateway_ops }, Target { http, ops: second_gateway.ops() }];
    let balancer = Balancer::start(&targets);
    let event = system.open(Sale::of(100_000));
    let buyers = system.users(BUYERS);
    let crowd = Crowd::default();
    let processes = std::thread::scope(|scope| {
        for part in buyers.chunks(BUYERS / THREADS) {
            let (crowd, balancer) = (&crowd, &balancer);
            scope.spawn(move || crowd.press(balancer, event, part));
        }
        let work = || upgrade(&mut system, &balancer, &crowd, (second_gateway, second_worker));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        crowd.over.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let told = crowd.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let books = system.audit_acknowledged(event, &told);
    println!("{} orders over the upgrade, refused on the way: {:?}; {books:?}", told.len(), crowd.refused());
    assert_eq!(books.L, i64::try_from(told.len()).expect("a count"), "one order each, and nothing else");
    drop(processes);
}
