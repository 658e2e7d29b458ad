//! Every peer beside the gateway, on real servers.

mod answers;
mod client;
mod gateway;
mod minihttp;
mod nginx;
mod pipeline;
mod process;
mod shop;
