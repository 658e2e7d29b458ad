//! `spike_fuzz::resp` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    spike_fuzz::resp::run(data);
});
