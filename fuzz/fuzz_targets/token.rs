//! `spike_fuzz::token` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    spike_fuzz::token::run(data);
});
