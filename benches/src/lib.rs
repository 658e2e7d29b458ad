//! Criterion benchmarks of Spike's core; see `benches/`. `cargo bench -p benches -- jwt` runs those whose name holds
//! `jwt`. Results worth keeping go to `docs/benchmarks/` as dated files with the machine named.
