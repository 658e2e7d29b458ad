//! `spike-load` as a person runs it, on private servers and with small numbers. How fast anything is is not looked at.

mod misuse;
mod program;
mod run;
mod stage;
