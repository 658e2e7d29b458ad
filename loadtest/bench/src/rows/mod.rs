//! The rows of the table, each measured by a file of its own.

pub mod accepted;
pub mod memory;
pub mod metrics;
pub mod overload;
pub mod pipeline;
pub mod sale;
pub mod scenarios;
pub mod sold_out;

/// How thorough a comparison is.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds of each contender, in turn.
    pub rounds: usize,
    /// Seconds of a round of cheap answers.
    pub seconds: u32,
    /// Orders of a round of accepted buys.
    pub orders: usize,
}

/// Says what is going on; the table comes at the end.
pub fn say(line: &str) {
    eprintln!("  {line}");
}
