//! A model of the stock protocol, explored exhaustively.
//!
//! Every script of `lua/` and every transaction of `shared/store` is one step; between two steps anything else may happen, in any
//! order, and faults strike where they like until their budget is used up. The search visits every state that can be reached
//! and checks the invariants in each. A condition of the protocol can be switched off by name, and then the search must find
//! out why it is there.
//!
//! - [`state`] what exists at one moment; [`list`] what it is made of
//! - [`ledger`], [`database`], [`plan`] what scripts, transactions and the rebuild decide
//! - [`steps`] who does what when, and what breaks; [`step`] the same in words
//! - [`invariants`] what must hold; [`search`] the visit to every state; [`fingerprint`] how it remembers them
//! - [`conditions`] what can be switched off; [`instances`] what is explored; [`report`] what is printed
//!
//! What is modelled and what is not: `docs/MODEL.md`.

pub mod conditions;
pub mod database;
pub mod fingerprint;
pub mod instance;
pub mod instances;
pub mod invariants;
pub mod ledger;
pub mod list;
pub mod model;
pub mod plan;
pub mod report;
pub mod search;
pub mod state;
pub mod step;
pub mod steps;
