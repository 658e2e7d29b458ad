//! Random sequences of calls against a plain model: equal replies, stock never below zero, one claim a user, and the
//! figures always add up. The same model serves every implementation of the ledger.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use spike_domain::{ClaimState, EventId, OrderId, QueuedOrder, UserId};
use spike_stock::EndedOrder;
use spike_stock::reserve::{Buyer, Decision};

use crate::server::{EPOCH, Server, buyer};

const STOCK: u32 = 12;
const LIMIT: u32 = 3;
const USERS: i64 = 6;

#[derive(Debug, Clone)]
enum Call {
    /// user, quantity, key
    Reserve(Vec<(i64, u32, Option<u8>)>),
    /// The n-th order that was ever accepted.
    Release(prop::sample::Index),
    /// The oldest entries.
    Settle(usize),
    /// A late order: user, quantity, key.
    Adopt(i64, u32, Option<u8>),
}

fn call() -> impl Strategy<Value = Call> {
    let key = || prop::option::of(0..3u8);
    prop_oneof![
        4 => prop::collection::vec((1..=USERS, 1..=LIMIT + 1, key()), 1..8).prop_map(Call::Reserve),
        3 => any::<prop::sample::Index>().prop_map(Call::Release),
        2 => (1..4usize).prop_map(Call::Settle),
        1 => (1..=USERS, 1..=LIMIT, key()).prop_map(|(user, quantity, key)| Call::Adopt(user, quantity, key)),
    ]
}

/// What the ledger should do, written as simply as possible.
#[derive(Default)]
struct Model {
    stock: u32,
    claims: HashMap<i64, (OrderId, u32)>,
    keys: HashMap<String, (OrderId, u32)>,
    entries: Vec<Vec<(i64, OrderId, u32)>>,
    accepted: Vec<(i64, OrderId)>,
}

impl Model {
    fn reserve(&mut self, buyers: &[Buyer]) -> String {
        let mut entry = Vec::new();
        let mut answers = String::new();
        for b in buyers {
            let (user, field) = (b.user.0, b.key.as_ref().map(|key| format!("{}:{key}", b.user)));
            answers.push(if field.as_ref().is_some_and(|field| self.keys.contains_key(field)) {
                'K'
            } else if self.claims.contains_key(&user) {
                'B'
            } else if b.quantity > LIMIT {
                'L'
            } else if b.quantity > self.stock {
                'S'
            } else {
                self.take(user, b.order, b.quantity, field);
                entry.push((user, b.order, b.quantity));
                'A'
            });
        }
        self.entries.extend((!entry.is_empty()).then_some(entry));
        answers
    }

    fn adopt(&mut self, order: &QueuedOrder) -> bool {
        let (user, field) = (order.user.0, order.key_field());
        if self.claims.get(&user).is_some_and(|claim| claim.0 == order.order) {
            return true;
        }
        if self.claims.contains_key(&user) || self.keys.contains_key(&field) || order.quantity > self.stock {
            self.keys.entry(field).or_insert((order.order, order.quantity));
            return false;
        }
        self.take(user, order.order, order.quantity, Some(field));
        self.entries.push(vec![(user, order.order, order.quantity)]);
        true
    }

    fn take(&mut self, user: i64, order: OrderId, quantity: u32, field: Option<String>) {
        self.stock -= quantity;
        self.claims.insert(user, (order, quantity));
        self.keys.extend(field.map(|field| (field, (order, quantity))));
        self.accepted.push((user, order));
    }

    fn release(&mut self, user: i64, order: OrderId) -> u32 {
        match self.claims.get(&user) {
            Some(&(held, quantity)) if held == order => {
                self.claims.remove(&user);
                self.stock += quantity;
                quantity
            }
            _ => 0,
        }
    }

    fn in_flight(&self) -> u32 {
        self.entries.iter().flatten().map(|order| order.2).sum()
    }
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let runtime = runtime();
    let server = runtime.block_on(Server::redis());
    check_sequences(&runtime, &server, 150);
}

#[test]
fn the_embedded_ledger_does_what_the_model_does() {
    check_sequences(&runtime(), &Server::embedded(), 150);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn check_sequences(runtime: &tokio::runtime::Runtime, server: &Server, cases: u32) {
    let next = AtomicI64::new(1);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    runner
        .run(&prop::collection::vec(call(), 1..30), |calls| {
            let event = EventId(next.fetch_add(1, Ordering::Relaxed));
            runtime.block_on(run(server, event, &calls))
        })
        .unwrap();
}

async fn run(server: &Server, event: EventId, calls: &[Call]) -> Result<(), TestCaseError> {
    server.open(event, STOCK, LIMIT, 1_000_000).await;
    let mut model = Model { stock: STOCK, ..Model::default() };
    for call in calls {
        step(server, event, &mut model, call).await?;
        let (stock, in_flight) = server.figures(event).await;
        prop_assert_eq!((stock, in_flight), (u64::from(model.stock), u64::from(model.in_flight())));
        let held: u32 = model.claims.values().map(|claim| claim.1).sum();
        prop_assert_eq!(model.stock + held, STOCK, "stock and claims add up");
    }
    for user in 1..=USERS {
        let claim = server.claim(event, user).await;
        prop_assert_eq!(claim.map(|c| (c.order, c.quantity)), model.claims.get(&user).copied());
    }
    Ok(())
}

async fn step(server: &Server, event: EventId, model: &mut Model, call: &Call) -> Result<(), TestCaseError> {
    match call {
        Call::Reserve(buyers) => {
            let named = |key: &Option<u8>| key.map(|key| format!("k{key}"));
            let buyers: Vec<Buyer> = buyers
                .iter()
                .map(|(user, quantity, key)| buyer(*user, *quantity, named(key).as_deref()))
                .collect();
            let before: HashMap<i64, (OrderId, u32)> = model.claims.clone();
            let want = model.reserve(&buyers);
            let decided = server.stock.reserve(event, EPOCH, 7, &buyers).await.unwrap();
            prop_assert_eq!(decided.stock, u64::from(model.stock));
            for ((decision, want), buyer) in decided.decisions.iter().zip(want.chars()).zip(&buyers) {
                check(*decision, want, buyer, model, &before)?;
            }
        }
        Call::Release(which) if !model.accepted.is_empty() => {
            let (user, order) = model.accepted[which.index(model.accepted.len())];
            let ended = EndedOrder { user: UserId(user), order, state: ClaimState::Cancelled };
            let units = server.stock.release(event, EPOCH, &[ended]).await.unwrap();
            prop_assert_eq!(units, u64::from(model.release(user, order)));
        }
        Call::Release(_) => {}
        Call::Settle(count) => {
            let entries = server.stock.entries(event, None, *count).await.unwrap().entries;
            let settled: Vec<_> = entries
                .iter()
                .map(|entry| spike_stock::ledger::settled(entry, |_| ClaimState::Pending))
                .collect();
            let gone: u32 = model.entries.drain(..entries.len()).flatten().map(|order| order.2).sum();
            prop_assert_eq!(server.stock.settle(event, EPOCH, &settled).await.unwrap(), u64::from(gone));
        }
        Call::Adopt(user, quantity, key) => {
            let key = key.map(|key| format!("k{key}"));
            let (order, user) = (OrderId::new(1), UserId(*user));
            let late = QueuedOrder { order, user, quantity: *quantity, key, accepted_at_ms: 1 };
            let counted = server.stock.adopt(event, EPOCH, 7, std::slice::from_ref(&late)).await.unwrap();
            prop_assert_eq!(counted, [model.adopt(&late)]);
        }
    }
    Ok(())
}

/// A decision of the kind wanted, that names the right order.
fn check(
    decision: Decision,
    want: char,
    buyer: &Buyer,
    model: &Model,
    before: &HashMap<i64, (OrderId, u32)>,
) -> Result<(), TestCaseError> {
    match (decision, want) {
        (Decision::Accepted, 'A') | (Decision::OverLimit, 'L') | (Decision::Short, 'S') => {}
        (Decision::Known(claim), 'K') => {
            let field = format!("{}:{}", buyer.user, buyer.key.as_deref().unwrap());
            prop_assert_eq!((claim.order, claim.quantity), model.keys[&field]);
        }
        (Decision::AlreadyBought(claim), 'B') => {
            let held = before.get(&buyer.user.0).or(model.claims.get(&buyer.user.0));
            prop_assert_eq!(Some(&(claim.order, claim.quantity)), held);
        }
        other => prop_assert!(false, "{other:?} for {buyer:?}"),
    }
    Ok(())
}
