//! What named processes use between two looks at them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Sample;
use super::cpu::{self, Usage};

/// Looks at processes again and again. A name may stand for several processes, whose figures are added.
#[derive(Debug)]
pub struct ProcessSampler {
    pids: BTreeMap<String, Vec<u32>>,
    before: BTreeMap<u32, Usage>,
    before_at: Instant,
}

impl ProcessSampler {
    /// Begins with a look at every process, from which the first sample counts. `now` is when.
    pub fn new(pids: BTreeMap<String, Vec<u32>>, now: Instant) -> Self {
        let before = look(pids.values().flatten());
        Self { pids, before, before_at: now }
    }

    /// Other processes for `name`, for example after a restart; what they used before now does not count.
    pub fn set(&mut self, name: &str, pids: Vec<u32>) {
        let seen = look(pids.iter().filter(|pid| !self.before.contains_key(pid)));
        self.before.extend(seen);
        self.pids.insert(name.to_owned(), pids);
    }

    /// Puts what each process used since the last look into `sample`. A name without a living process has no figures.
    pub fn sample(&mut self, now: Instant, sample: &mut Sample) {
        let seen = look(self.pids.values().flatten());
        let elapsed = now.saturating_duration_since(self.before_at);
        for (name, pids) in &self.pids {
            let living: Vec<(&u32, &Usage)> =
                pids.iter().filter_map(|pid| Some((pid, seen.get(pid)?))).collect();
            if living.is_empty() {
                continue;
            }
            let cpu_us = living.iter().map(|(pid, usage)| used_us(self.before.get(*pid), usage)).sum();
            sample.cpu.insert(name.clone(), cores(cpu_us, elapsed));
            let memory: Vec<u64> = living.iter().filter_map(|(_, usage)| usage.rss_kib).collect();
            if !memory.is_empty() {
                sample.memory_mib.insert(name.clone(), mib(memory.iter().sum()));
            }
        }
        (self.before, self.before_at) = (seen, now);
    }
}

/// Every process that can be read.
fn look<'a>(pids: impl Iterator<Item = &'a u32>) -> BTreeMap<u32, Usage> {
    pids.filter_map(|pid| Some((*pid, cpu::read(*pid).ok()?))).collect()
}

/// What a process used since the look before; all it ever used if it began since.
fn used_us(before: Option<&Usage>, now: &Usage) -> u64 {
    let before_us =
        before.filter(|before| before.started_ticks == now.started_ticks).map_or(0, |before| before.cpu_us);
    now.cpu_us.saturating_sub(before_us)
}

#[allow(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^52")]
fn cores(cpu_us: u64, elapsed: Duration) -> f64 {
    let elapsed_us = elapsed.as_micros() as f64;
    if elapsed_us > 0.0 { cpu_us as f64 / elapsed_us } else { 0.0 }
}

#[allow(clippy::cast_precision_loss, reason = "KiB of a machine are far below 2^52")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_the_look_before_or_from_the_start_of_the_process() {
        let usage = |cpu_us, started_ticks| Usage { cpu_us, started_ticks, rss_kib: None };
        assert_eq!(used_us(Some(&usage(1000, 5)), &usage(4000, 5)), 3000);
        assert_eq!(used_us(Some(&usage(1000, 5)), &usage(400, 6)), 400, "another process with its pid");
        assert_eq!(used_us(None, &usage(400, 6)), 400);
        assert_eq!((cores(500_000, Duration::from_millis(250)), cores(1, Duration::ZERO)), (2.0, 0.0));
    }

    #[test]
    fn a_process_that_works_uses_a_core_and_one_that_is_gone_has_no_figures() {
        let (here, gone) = (std::process::id(), u32::MAX);
        let begin = Instant::now();
        let used_before = cpu::read(here).unwrap().cpu_us;
        let pids = [("test".to_owned(), vec![here, gone]), ("gone".to_owned(), vec![gone])];
        let mut sampler = ProcessSampler::new(pids.into(), begin);
        // Several ticks of the kernel's clock after that look, however busy the machine is.
        while cpu::read(here).unwrap().cpu_us < used_before + 50_000 {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
            assert!(begin.elapsed() < Duration::from_secs(60), "no processor time in a minute");
        }
        let mut sample = Sample::default();
        sampler.sample(Instant::now(), &mut sample);
        assert!(sample.cpu["test"] > 0.0 && sample.memory_mib["test"] > 0.1, "{sample:?}");
        assert!(!sample.cpu.contains_key("gone") && !sample.memory_mib.contains_key("gone"));
        sampler.set("gone", vec![here]);
        sampler.sample(Instant::now(), &mut sample);
        assert!(sample.cpu.contains_key("gone"));
    }
}
