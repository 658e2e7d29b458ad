//! The whole system as it is shipped: real processes, real servers, real sockets, and the faults of production.
//!
//! [`system`] starts a gateway and a worker of the binary under test on servers nobody else touches; [`books`] holds what
//! buyers were told against Redis and the database when everything has come to rest. [`nemesis`] lets faults strike while a sale
//! runs, and proves afterwards that nothing was lost or doubled.

mod accounts;
mod answers;
mod arrows;
mod backlog;
mod bad_configuration;
mod bad_http;
mod balancer;
mod bodies;
mod books;
mod broker_cluster;
mod callers;
mod cluster;
mod commands;
mod crowd;
mod dead_letters;
mod demo;
mod deployment;
mod drain;
mod embedded;
mod every_route;
mod fresh;
mod fuzz_api;
mod hostile_tokens;
mod http;
mod killed;
mod least_privilege;
mod life;
mod limits;
mod load_scripts;
mod nemesis;
mod observability;
mod operations;
mod orders;
mod poll;
mod process;
mod public_administrator;
mod reconcile;
mod recorded;
mod redis_down;
mod revoked;
mod rolling_upgrade;
mod runbook;
mod scale_out;
mod script;
mod session_races;
mod shop;
mod system;
mod tracing;
mod walkthrough;
