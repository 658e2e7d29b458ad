//! A run: the crowd buys, faults strike one after another, all comes to rest, and the checker speaks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use fastrand::Rng;
use loadtest::proof::{Act, Allowances, Outcome, Record, prove};
use spike_domain::clock::now_ms;
use spike_domain::{EventId, OrderId, OrderStatus};

use super::arena::{Arena, Own};
use super::client::Client;
use super::crowd::{Crowd, Pressure, Told};
use super::faults::{FAULTS, Fault, Needs, Scene};
use super::recovery::{Prober, since};
use super::report::Report;
use super::watch::Watcher;
use super::{facts, messages, redis_data};
use crate::poll::until;
use crate::system::Sale;

/// Seconds to pay: short, so that stock goes round.
const PAY_TIMEOUT_S: u32 = 6;
/// Accounts of the prober.
const PROBERS: usize = 200;
/// Orders of each event that are looked at once more at rest.
const LOOKED_AT: usize = 20;

/// Which faults strike.
pub enum Faults {
    /// These, in this order.
    These(&'static [&'static str]),
    /// So many of these, drawn by the seed.
    Some(&'static [&'static str], usize),
    /// Any that the arena allows, every kind in turn and in an order drawn by the seed, until the time is over.
    Until(Duration),
}

/// A run to be made.
pub struct Run {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Servers of its own.
    pub own: Own,
    /// Settings besides the shipped ones.
    pub settings: &'static [(&'static str, &'static str)],
    /// A relay's patience, as it is with these settings.
    pub republish_after: Duration,
    /// Units of an event.
    pub stock: u32,
    /// The clients.
    pub pressure: Pressure,
    /// The faults.
    pub faults: Faults,
}

/// Makes it; the report says what it has shown. Says on the way which fault strikes.
pub fn run(run: &Run) -> Report {
    println!("nemesis, seed {}", run.seed);
    let begin = Instant::now();
    let mut arena = Arena::start(run.own, run.settings);
    let mut prober = Prober::new(arena.system.users(PROBERS));
    let handle = arena.system.runtime.handle().clone();
    let users = arena.system.users(run.pressure.users);
    let crowd = Crowd::start(&handle, arena.gateways, users, run.pressure, run.seed);
    let watcher = Watcher::start(&handle, arena.system.store.clone(), arena.system.redis.url());
    let mut report = Report { seed: run.seed, ..Report::default() };
    let mut allowed = Allowances::default();
    {
        let mut struggle = Struggle {
            run,
            arena: &mut arena,
            crowd: &crowd,
            watcher: &watcher,
            prober: &mut prober,
            rng: Rng::with_seed(run.seed),
            allowed: &mut allowed,
            report: &mut report,
            copy: None,
            seen: Vec::new(),
            begin,
        };
        struggle.go();
    }
    let mut told = arena.system.runtime.block_on(crowd.leave());
    told.append(&mut prober.told);
    facts::wait_for_rest(&arena);
    let (looks, found) = arena.system.runtime.block_on(watcher.end());
    (report.looks, report.violations) = (looks, found);
    judge(&arena, told, &allowed, &mut report);
    report.took = begin.elapsed();
    println!("{}", report.table());
    report
}

struct Struggle<'a> {
    run: &'a Run,
    arena: &'a mut Arena,
    crowd: &'a Crowd,
    watcher: &'a Watcher,
    prober: &'a mut Prober,
    rng: Rng,
    allowed: &'a mut Allowances,
    report: &'a mut Report,
    copy: Option<redis_data::Copy>,
    seen: Vec<messages::Seen>,
    begin: Instant,
}

impl Struggle<'_> {
    fn go(&mut self) {
        self.open();
        self.open();
        self.sells_on();
        match self.run.faults {
            Faults::These(names) => names.iter().for_each(|name| self.strike(super::faults::named(name))),
            Faults::Some(names, count) => {
                for _ in 0..count {
                    let name = names[self.rng.usize(..names.len())];
                    self.strike(super::faults::named(name));
                }
            }
            Faults::Until(time) => self.strike_until(Instant::now() + time),
        }
    }

    /// Every kind once before any comes again, the long ones only in the first round.
    fn strike_until(&mut self, end: Instant) {
        let own = self.run.own;
        let possible = |fault: &&Fault| match fault.needs {
            Needs::Nothing | Needs::Root => true,
            Needs::Broker => own.broker,
            Needs::Database => own.database,
        };
        let mut first = true;
        while Instant::now() < end {
            let mut round: Vec<&Fault> =
                FAULTS.iter().filter(possible).filter(|fault| first || !fault.long).collect();
            self.rng.shuffle(&mut round);
            for fault in round {
                let room = if fault.long { Duration::from_secs(100) } else { Duration::ZERO };
                if Instant::now() + room < end {
                    self.strike(fault);
                }
            }
            first = false;
        }
    }

    fn strike(&mut self, fault: &'static Fault) {
        println!("{} {}", since(self.begin), fault.name);
        let mut scene = Scene {
            arena: self.arena,
            rng: &mut self.rng,
            allowed: self.allowed,
            copy: &mut self.copy,
            seen: &mut self.seen,
            republish_after: self.run.republish_after,
        };
        messages::remember(&mut scene);
        let back = (fault.strike)(&mut scene);
        let on_sale = self.on_sale();
        let took = self.prober.wait(self.arena, fault.over, back, &on_sale);
        println!("{} {} over after {took:.1?}", since(self.begin), fault.name);
        self.report.faults.entry(fault.name).or_default().push(took);
        self.open_another_when_sold();
        self.sells_on();
    }

    /// The sale goes on: nothing is left of the fault that keeps buyers away.
    fn sells_on(&mut self) {
        let before = self.crowd.floor.accepted();
        let wanted = u64::from(self.run.pressure.presses_per_s / 4).min(50);
        until("orders are accepted again", || (self.crowd.floor.accepted() >= before + wanted).then_some(()));
    }

    fn on_sale(&self) -> Vec<EventId> {
        self.arena.events[self.arena.events.len().saturating_sub(3)..].to_vec()
    }

    fn open(&mut self) {
        let sale =
            Sale { pay_timeout_s: PAY_TIMEOUT_S, ends_in_ms: 4 * 3_600_000, ..Sale::of(self.run.stock) };
        self.arena.open(sale);
        let on_sale = self.on_sale();
        self.crowd.floor.offer(&on_sale);
        self.watcher.watch(&on_sale);
    }

    /// Paid units never come back, so an event that has sold half of its stock for good makes room for another.
    fn open_another_when_sold(&mut self) {
        let newest = *self.arena.events.last().expect("opened at the start");
        let row = until("the database answers", || {
            self.arena.system.runtime.block_on(self.arena.system.store.event(newest)).ok().flatten()
        });
        if row.paid * 2 > row.def.total {
            self.open();
        }
    }
}

fn judge(arena: &Arena, told: Vec<Told>, allowed: &Allowances, report: &mut Report) {
    let mut histories: HashMap<EventId, Vec<Record>> = HashMap::new();
    for (event, record) in told {
        report.requests[match record.outcome() {
            Outcome::Ok => 0,
            Outcome::Fail => 1,
            Outcome::Unknown => 2,
        }] += 1;
        histories.entry(event).or_default().push(record);
    }
    report.events = arena.events.len();
    let mut rows: BTreeMap<&'static str, usize> = BTreeMap::new();
    for &event in &arena.events {
        let mut history = histories.remove(&event).unwrap_or_default();
        look_once_more(arena, &mut history, allowed);
        let facts = facts::read(arena, event);
        let accepted: HashSet<OrderId> = history.iter().filter_map(Record::accepted).collect();
        report.accepted += accepted.len();
        let live: HashMap<OrderId, OrderStatus> =
            facts.rows.iter().map(|row| (row.order, row.status)).collect();
        let dead = |order: &&OrderId| {
            live.get(order).is_none_or(|status| matches!(status, OrderStatus::Rejected | OrderStatus::Lost))
        };
        report.excused += accepted.intersection(&allowed.at_risk).filter(dead).count();
        report.under_way += facts.ledger.inflight;
        report.under_way += facts.markers.iter().filter(|marker| marker.done_at_ms.is_none()).count() as i64;
        for row in &facts.rows {
            *rows.entry(row.status.as_str()).or_default() += 1;
        }
        let found = prove(&facts, &history, allowed);
        report.violations.extend(found.iter().map(|violation| format!("event {event}: {violation}")));
    }
    report.rows = rows;
}

/// What a client sees of its order in the end, whoever answers: it has its row, so it is not missing.
fn look_once_more(arena: &Arena, history: &mut Vec<Record>, allowed: &Allowances) {
    let accepted = history.iter().filter(|record| record.accepted().is_some());
    let step = (accepted.clone().count() / LOOKED_AT).max(1);
    let chosen: Vec<_> = accepted.step_by(step).map(|record| (record.user, record.accepted())).collect();
    for (user, order) in chosen {
        let order = order.expect("filtered");
        let token = arena.system.token(user);
        let sent_ms = now_ms();
        let look = Client::new(&arena.gateways[..1]);
        let seen = arena.system.runtime.block_on(async { { look }.look(0, order, &token).await });
        if !allowed.at_risk.contains(&order) {
            assert!(
                matches!(seen, loadtest::proof::Seen::State(_)),
                "order {order} of {user} at rest: {seen:?}"
            );
        }
        history.push(Record { user, sent_ms, answered_ms: now_ms(), act: Act::Look(order, seen) });
    }
}
