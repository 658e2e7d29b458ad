//! The ledger's contracts on both implementations: the scripts through the real client on a real Redis, and the embedded
//! ledger in a folder; and random sequences on both against one plain model.

mod boundary;
mod cluster;
mod journal;
mod late;
mod model;
mod outbox;
mod rebuild;
mod server;
mod versions;
