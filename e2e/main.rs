//! The whole system as it is shipped: real processes, real servers, real sockets, and the faults of production.
//!
//! [`system`] starts a gateway and a worker of the binary under test on servers nobody else touches; [`books`] holds what
//! buyers were told against Redis and the database when everything has come to rest.

mod accounts;
mod answers;
mod arrows;
mod backlog;
mod bad_configuration;
mod bodies;
mod books;
mod commands;
mod demo;
mod drain;
mod embedded;
mod fresh;
mod fuzz_api;
mod http;
mod killed;
mod life;
mod orders;
mod poll;
mod process;
mod reconcile;
mod redis_down;
mod revoked;
mod shop;
mod system;
mod walkthrough;
