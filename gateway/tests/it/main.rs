//! The gateway against real servers.

mod control;
mod hot;
mod relay;
