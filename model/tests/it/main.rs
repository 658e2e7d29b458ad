//! The small instances, whole, and every condition switched off where it shows.

mod ablation;
mod exhaustive;
