//! The clients of a sale: they press, repeat what they have no answer to, pay, cancel and look, each in their own time, and
//! remember every answer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use loadtest::proof::{Act, Bought, Ended, Paid, Record, Seen};
use spike_domain::clock::now_ms;
use spike_domain::{EventId, OrderId, UserId};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::client::Client;

/// An answer and the event it is about.
pub type Told = (EventId, Record);

/// How often a request without an answer is repeated.
const TRIES_MAX: u32 = 12;

/// How many there are and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Pressure {
    /// Connections to each gateway.
    pub clients: usize,
    /// Presses a second of all of them, at most.
    pub presses_per_s: u32,
    /// Accounts.
    pub users: usize,
    /// Longest rest before an accepted order is paid or cancelled, in milliseconds: best a little more than the time to pay.
    pub think_ms_max: u64,
}

/// What all clients see.
pub struct Floor {
    users: Vec<(UserId, String)>,
    on_sale: Mutex<Vec<EventId>>,
    closing: AtomicBool,
    accepted: AtomicU64,
    pressure: Pressure,
}

/// The clients at work.
pub struct Crowd {
    /// What they share.
    pub floor: Arc<Floor>,
    tasks: Vec<JoinHandle<Vec<Told>>>,
}

impl Crowd {
    /// Lets them in.
    pub fn start(
        runtime: &Handle,
        gateways: [SocketAddr; 2],
        users: Vec<(UserId, String)>,
        pressure: Pressure,
        seed: u64,
    ) -> Self {
        let (on_sale, closing, accepted) = Default::default();
        let floor = Arc::new(Floor { users, on_sale, closing, accepted, pressure });
        let buyer = |number: usize| {
            let buyer = Buyer {
                client: Client::new(&gateways),
                rng: Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(number as u64)),
                agenda: BinaryHeap::new(),
                told: Vec::new(),
                number,
                floor: floor.clone(),
                next: 0,
            };
            runtime.spawn(buyer.live())
        };
        let tasks = (0..pressure.clients).map(buyer).collect();
        Self { floor, tasks }
    }

    /// No more presses; what is under way is brought to its end. Everything that was told.
    pub async fn leave(self) -> Vec<Told> {
        self.floor.closing.store(true, Ordering::Relaxed);
        let mut told = Vec::new();
        for task in self.tasks {
            told.extend(task.await.expect("a client does not panic"));
        }
        told
    }
}

impl Floor {
    /// What is bought from now on.
    pub fn offer(&self, events: &[EventId]) {
        *self.on_sale.lock().unwrap_or_else(PoisonError::into_inner) = events.to_vec();
    }

    /// Presses that were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// What a client still wants to do, and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Todo {
    due: Instant,
    number: u64,
    event: EventId,
    user: usize,
    wish: Wish,
    tries: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Press(Option<u64>),
    Pay(OrderId, u64, &'static str),
    Cancel(OrderId, u64),
    Look(OrderId),
}

/// A press that was sent.
struct Press {
    event: EventId,
    user: usize,
    sent_ms: u64,
    key: Option<u64>,
    tries: u32,
}

struct Buyer {
    floor: Arc<Floor>,
    client: Client,
    rng: Rng,
    agenda: BinaryHeap<Reverse<Todo>>,
    told: Vec<Told>,
    number: usize,
    next: u64,
}

impl Buyer {
    async fn live(mut self) -> Vec<Told> {
        let Pressure { clients, presses_per_s, .. } = self.floor.pressure;
        let pace = Duration::from_secs(clients as u64) / presses_per_s;
        let mut press_at = Instant::now();
        loop {
            let closing = self.floor.closing.load(Ordering::Relaxed);
            if self.agenda.peek().is_some_and(|Reverse(todo)| todo.due <= Instant::now()) {
                let Reverse(todo) = self.agenda.pop().expect("looked at above");
                self.act(todo).await;
            } else if closing && self.agenda.is_empty() {
                return self.told;
            } else if !closing && press_at <= Instant::now() {
                press_at = (press_at + pace).max(Instant::now() - Duration::from_secs(1));
                self.press_anew().await;
            } else {
                sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn press_anew(&mut self) {
        let on_sale = self.floor.on_sale.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if on_sale.is_empty() {
            sleep(Duration::from_millis(20)).await;
            return;
        }
        let event = on_sale[self.rng.usize(..on_sale.len())];
        // Each client has users of its own, so that what one user is told has an order.
        let (clients, users) = (self.floor.pressure.clients, self.floor.users.len());
        let user = self.number + clients * self.rng.usize(..users / clients);
        let key = (self.rng.u32(..10) > 0).then(|| self.rng.u64(..));
        if self.rng.u32(..30) == 0 {
            let (sent_ms, token) = (now_ms(), self.floor.users[user].1.clone());
            for bought in self.client.buy_twice(event, &token, key).await {
                self.bought(&Press { event, user, sent_ms, key, tries: 0 }, bought);
            }
            return;
        }
        let todo = self.todo(0, event, user, Wish::Press(key), 0);
        self.act(todo).await;
    }

    async fn act(&mut self, todo: Todo) {
        let Todo { event, user, wish, tries, .. } = todo;
        let token = self.floor.users[user].1.clone();
        let gateway = self.rng.usize(..2);
        let sent_ms = now_ms();
        match wish {
            Wish::Press(key) => {
                let bought = self.client.buy(gateway, event, &token, key).await;
                self.bought(&Press { event, user, sent_ms, key, tries }, bought);
            }
            Wish::Pay(order, key, simulate) => {
                let (paid, word) = self.client.pay(gateway, order, &token, key, simulate).await;
                self.note(event, user, sent_ms, Act::Pay(order, paid));
                let wish = match (paid, &*word) {
                    (Paid::Unknown, _) | (_, "not-found" | "in-flight" | "payment-in-progress") => {
                        // A refusal is kept for its key, so what is not there yet is asked for by another.
                        let key = if paid == Paid::Unknown { key } else { self.rng.u64(..) };
                        Wish::Pay(order, key, simulate)
                    }
                    (Paid::Refused, "payment-declined") => Wish::Pay(order, self.rng.u64(..), "success"),
                    _ => Wish::Look(order),
                };
                self.again(event, user, wish, tries);
            }
            Wish::Cancel(order, key) => {
                let (ended, word) = self.client.cancel(gateway, order, &token, key).await;
                self.note(event, user, sent_ms, Act::Cancel(order, ended));
                let wish = match (ended, &*word) {
                    (Ended::Unknown, _) => Wish::Cancel(order, key),
                    (_, "not-found" | "in-flight") => Wish::Cancel(order, self.rng.u64(..)),
                    _ => Wish::Look(order),
                };
                self.again(event, user, wish, tries);
            }
            Wish::Look(order) => {
                let seen = self.client.look(gateway, order, &token).await;
                self.note(event, user, sent_ms, Act::Look(order, seen));
                if seen == Seen::Unknown {
                    self.again(event, user, Wish::Look(order), tries);
                }
            }
        }
    }

    fn bought(&mut self, press: &Press, told: Bought) {
        let &Press { event, user, sent_ms, key, tries } = press;
        self.note(event, user, sent_ms, Act::Buy(key, told));
        match told {
            Bought::Accepted(order) => {
                self.floor.accepted.fetch_add(1, Ordering::Relaxed);
                self.then(event, user, key, order);
            }
            // Without a key nobody could tell the repetition from a wish for another one.
            Bought::Unknown(_) if key.is_some() => self.again(event, user, Wish::Press(key), tries),
            _ => {}
        }
    }

    /// What becomes of an order: paid, cancelled, looked at, pressed for again, or left to its deadline.
    fn then(&mut self, event: EventId, user: usize, key: Option<u64>, order: OrderId) {
        let think_ms = self.rng.u64(300..self.floor.pressure.think_ms_max);
        let another = self.rng.u64(..);
        let wish = match self.rng.u32(..100) {
            0..22 => Wish::Pay(order, another, self.way_to_pay()),
            22..32 => Wish::Cancel(order, another),
            32..40 => Wish::Look(order),
            40..46 if key.is_some() => Wish::Press(key),
            46..50 => Wish::Press(Some(another)),
            _ => return,
        };
        let todo = self.todo(think_ms, event, user, wish, 0);
        self.agenda.push(Reverse(todo));
    }

    fn way_to_pay(&mut self) -> &'static str {
        match self.rng.u32(..200) {
            0 => "timeout",
            1 => "late-success",
            2..6 => "duplicate-callback",
            6..20 => "decline",
            _ => "success",
        }
    }

    fn again(&mut self, event: EventId, user: usize, wish: Wish, tries: u32) {
        if tries < TRIES_MAX {
            let wait_ms = self.rng.u64(200..600) * u64::from(tries + 1);
            let todo = self.todo(wait_ms, event, user, wish, tries + 1);
            self.agenda.push(Reverse(todo));
        }
    }

    fn todo(&mut self, in_ms: u64, event: EventId, user: usize, wish: Wish, tries: u32) -> Todo {
        self.next += 1;
        let due = Instant::now() + Duration::from_millis(in_ms);
        Todo { due, number: self.next, event, user, wish, tries }
    }

    fn note(&mut self, event: EventId, user: usize, sent_ms: u64, act: Act) {
        let user = self.floor.users[user].0;
        self.told.push((event, Record { user, sent_ms, answered_ms: now_ms(), act }));
    }
}
