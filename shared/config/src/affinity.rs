//! Which CPUs this process may run on: hot threads are pinned to these, and their number is the automatic one.

use crate::hot::HotConfig;

impl HotConfig {
    /// How many hot cores to start, given how many CPUs the process may use; at least one.
    pub fn core_count(&self, cpus_allowed: usize) -> usize {
        if self.cores == 0 { cpus_allowed.max(1) } else { self.cores }
    }
}

/// The CPUs this process may be scheduled on, in order (`taskset`, cpusets). Where a cgroup grants less time than
/// that many CPUs have, the list is cut, so that no thread only waits for its turn. Never empty.
pub fn allowed_cpus() -> Vec<usize> {
    let granted = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut cpus = affinity();
    if cpus.is_empty() {
        cpus = (0..granted).collect();
    }
    cpus.truncate(granted);
    cpus
}

#[cfg(target_os = "linux")]
fn affinity() -> Vec<usize> {
    // SAFETY: a cpu_set_t is an array of integers, for which all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the size we state into a set we own; 0 is this thread.
    let failed = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0;
    if failed {
        return Vec::new();
    }
    let cpus_max = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: every index is below CPU_SETSIZE, the set's size in bits.
    (0..cpus_max).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

#[cfg(not(target_os = "linux"))]
fn affinity() -> Vec<usize> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_may_run_somewhere() {
        let cpus = allowed_cpus();
        assert!(!cpus.is_empty() && cpus.is_sorted());
    }
}
