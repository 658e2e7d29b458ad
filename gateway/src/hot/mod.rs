//! The hot cores: one pinned thread each, with its own listener, its own connections and its own line to Redis.
//!
//! The life of a buy, file by file: [`listener`] accepts, [`connection`] bounds it in time, [`lane`] answers
//! what is sold out, [`service`] dispatches by [`route`], [`buy`] decides from local memory, [`press`] reads the body, [`batch`] asks the ledger, [`answer`] writes
//! the reply. The sold-out answer is a guess bounded to one second ([`crate::local::sold_out`]); every other answer of a
//! buy is the ledger's own word, and `outcome-unknown` says that the ledger's word was lost.

pub mod answer;
pub mod batch;
pub mod body;
pub mod buy;
pub mod connection;
pub mod core;
pub mod lane;
pub mod line;
pub mod listener;
pub mod measure;
pub mod press;
pub mod proxy;
pub mod route;
pub mod service;
pub mod status;
pub mod stream;
pub mod waiting;
pub mod watched;

pub use self::core::Core;
