//! The control API, driven as the bridge drives it, over a MariaDB and a Redis of the test's own.

mod accounts;
mod api;
mod catalogue;
mod operations;
mod sales;
mod wrong_input;

pub use api::Api;
