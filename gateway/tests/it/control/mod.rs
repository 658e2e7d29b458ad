//! The control API, driven as the bridge drives it, over a MariaDB and a Redis of the test's own.

mod accounts;
mod administration;
mod api;
mod brute_force;
mod cache;
mod catalogue;
mod every_route;
mod life;
mod limits;
mod operations;
mod payments;
mod sales;
mod sessions;
mod shop;
mod shop_orders;
mod timing;
mod wrong_input;

pub use api::Api;
