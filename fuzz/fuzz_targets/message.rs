//! `spike_fuzz::message` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    spike_fuzz::message::run(data);
});
