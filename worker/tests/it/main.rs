//! The worker against real servers: a private Redis a test, a database and a virtual host of its own.

mod conditions;
mod deadlines;
mod ending;
mod expiry;
mod faults;
mod late;
mod past;
mod path;
mod payments;
mod purge;
mod retry;
mod sale;
mod versions;
