//! Every interleaving of the hot cores' two lock-free words: the sold-out flag and the token bucket.
//!
//! The very source files of the gateway are compiled here once more with loom's atomics in place of the standard ones; loom
//! runs each test in every order in which the threads could see each other's writes, with at most two preemptions: the
//! errors of such code show with one or two (Musuvathi and Qadeer, PLDI 2007), and more take minutes.

#![cfg(test)]

#[path = "../../../gateway/src/local/gcra.rs"]
#[allow(dead_code, missing_docs, reason = "a part of it is tested here")]
mod gcra;
#[path = "../../../gateway/src/local/sold_out.rs"]
#[allow(dead_code, reason = "a part of it is tested here")]
mod sold_out;

/// What `gcra` wants of the gateway's module of that name.
mod rate_limit {
    /// A limit as clients are told of it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Policy {
        /// A short word.
        pub name: &'static str,
        /// Requests within a window.
        pub quota: u32,
        /// Seconds.
        pub window_s: u32,
    }
}

mod bucket_tests;
mod flag_tests;

fn every_order(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(test);
}
