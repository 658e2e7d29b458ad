//! The nemesis: a sale that goes on while faults strike, and a proof afterwards that nothing was lost and nothing doubled.
//!
//! [`arena`] is the system under attack: two gateways and two workers, with a proxy before each server. [`crowd`] buys, pays,
//! cancels and looks, and remembers every answer. [`faults`] is the table of what can go wrong, by server in the files beside it.
//! [`recovery`] says when a fault is over for the clients and how long that took. [`watch`] looks at the figures while all this
//! runs; [`facts`] reads them when it is over, and `loadtest::proof` judges. [`drive`] is the run: directed by a list of
//! faults, or chosen at random from a seed, which is printed; a seed that has failed becomes a case of [`kept`].
//!
//! `docs/FAULTS.md` is the page for people.

mod arena;
mod broker;
mod client;
mod crowd;
mod database;
mod deadline;
mod directed;
mod drive;
mod facts;
mod faults;
mod kept;
mod messages;
mod processes;
mod recovery;
mod redis;
mod redis_data;
mod report;
mod soak;
mod watch;
