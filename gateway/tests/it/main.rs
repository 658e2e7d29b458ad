//! The gateway against real servers.

mod control;
mod follower;
mod hot;
mod relay;
