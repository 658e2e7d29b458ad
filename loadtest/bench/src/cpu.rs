//! CPU time and memory of processes, from /proc, and where they may run.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, bail};

/// Processes by name.
pub type Pids = BTreeMap<String, u32>;

/// CPU time that processes have used, in microseconds, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Used(pub BTreeMap<String, f64>);

impl Used {
    /// What each of `pids` has used since it started.
    ///
    /// # Errors
    /// When one is gone.
    pub fn read(pids: &Pids) -> anyhow::Result<Self> {
        pids.iter()
            .map(|(name, &pid)| Ok((name.clone(), used_us(name, pid)?)))
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    /// What was used since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let of = |name: &String| before.0.get(name).copied().unwrap_or(0.0);
        Self(self.0.iter().map(|(name, used)| (name.clone(), used - of(name))).collect())
    }

    /// All of them together.
    pub fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// The parts and their share of `count`, for a line of text.
    pub fn each(&self, count: u64) -> String {
        let part = |(name, used): (&String, &f64)| format!("{name} {:.1}", used / count.max(1) as f64);
        self.0.iter().map(part).collect::<Vec<_>>().join(" + ")
    }
}

/// Keeps this process, and the threads it starts from now on, on `cpus`.
///
/// # Errors
/// When there is no such CPU.
pub fn stay_on(cpus: &[usize]) -> anyhow::Result<()> {
    pin(std::process::id(), cpus)
}

/// Keeps a process with all its threads on `cpus`.
///
/// # Errors
/// When it is gone, or there is no such CPU.
pub fn pin(pid: u32, cpus: &[usize]) -> anyhow::Result<()> {
    let list = cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let output = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &list, &pid.to_string()])
        .output()
        .context("run taskset (Debian package util-linux)")?;
    if !output.status.success() {
        bail!("taskset: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Memory that is a process's own: anonymous pages in RAM, in bytes. Files it has mapped are not counted.
///
/// # Errors
/// When it is gone.
pub fn anonymous_bytes(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("a status without RssAnon")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

fn used_us(name: &str, pid: u32) -> anyhow::Result<f64> {
    let usage = loadtest::record::cpu::read(pid).with_context(|| format!("the {name}, process {pid}"))?;
    Ok(usage.cpu_us as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_in_this_process() {
        let pids = Pids::from([("me".to_owned(), std::process::id())]);
        let before = Used::read(&pids).unwrap();
        let mut sum = 0_u64;
        while Used::read(&pids).unwrap().since(&before).total() < 20_000.0 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        assert!(anonymous_bytes(std::process::id()).unwrap() > 100_000);
    }

    #[test]
    fn shares_are_of_the_count() {
        let used = Used([("a".to_owned(), 30.0), ("b".to_owned(), 10.0)].into());
        assert_eq!((used.each(10).as_str(), used.total()), ("a 3.0 + b 1.0", 40.0));
    }
}
