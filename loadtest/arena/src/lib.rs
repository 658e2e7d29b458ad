//! What a sale on real processes needs around the generator: the processes themselves ([`process`]), an operator who puts
//! something on sale over REST ([`stage`]), buyers with tokens ([`crowd`]), and both sides read for the auditor afterwards
//! ([`rest`]). `spike demo` and the load tests stand on it.

pub mod crowd;
mod facts;
pub mod process;
pub mod rest;
pub mod stage;
