//! The gateway against real servers.

mod contract;
mod control;
mod follower;
mod hot;
mod relay;
mod revocations;
