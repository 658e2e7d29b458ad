//! `spike_fuzz::press` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    spike_fuzz::press::run(data);
});
