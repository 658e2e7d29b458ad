//! The scripts through the real client on a real Redis: each one's contract, and all of them against a plain model.

mod boundary;
mod late;
mod model;
mod outbox;
mod rebuild;
mod server;
