//! The machine of a load test, as Linux describes it.

use std::fs;

use serde::{Deserialize, Serialize};

/// Where a load test ran. What could not be read is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The model's name.
    pub cpu: String,
    /// Processors that are online.
    pub cores: u32,
    /// Memory in all.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The distribution's name.
    pub os: String,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::parse(
            &read("/proc/cpuinfo"),
            &read("/proc/meminfo"),
            &read("/proc/sys/kernel/osrelease"),
            &read("/etc/os-release"),
        )
    }

    /// Reads the texts of `/proc/cpuinfo`, `/proc/meminfo`, `/proc/sys/kernel/osrelease` and `/etc/os-release`.
    fn parse(cpuinfo: &str, meminfo: &str, kernel: &str, os_release: &str) -> Self {
        let cores = cpuinfo.lines().filter(|line| value(line, "processor", ':').is_some()).count();
        let memory = first(meminfo, "MemTotal", ':').and_then(|text| text.strip_suffix("kB"));
        // Processors of ARM have no model name.
        let cpu = first(cpuinfo, "model name", ':').or_else(|| first(cpuinfo, "CPU part", ':'));
        Self {
            cpu: cpu.unwrap_or_default().to_owned(),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            memory_mib: memory.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0) / 1024,
            kernel: kernel.trim().to_owned(),
            os: first(os_release, "PRETTY_NAME", '=').unwrap_or_default().trim_matches('"').to_owned(),
        }
    }
}

fn value<'a>(line: &'a str, name: &str, separator: char) -> Option<&'a str> {
    let (found, value) = line.split_once(separator)?;
    (found.trim() == name).then_some(value.trim())
}

fn first<'a>(text: &'a str, name: &str, separator: char) -> Option<&'a str> {
    text.lines().find_map(|line| value(line, name, separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_understood() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R): 2.50GHz\n\nprocessor\t: 1\nmodel name\t: other\n";
        let meminfo = "MemTotal:        8137216 kB\nMemFree:  1 kB\n";
        let os = "ID=debian\nPRETTY_NAME=\"Debian 12\"\n";
        let want = Machine {
            cpu: "Intel(R) Xeon(R): 2.50GHz".into(),
            cores: 2,
            memory_mib: 7946,
            kernel: "6.1.0-18-amd64".into(),
            os: "Debian 12".into(),
        };
        assert_eq!(Machine::parse(cpuinfo, meminfo, "6.1.0-18-amd64\n", os), want);
        assert_eq!(Machine::parse("", "MemTotal: lots\n", "", ""), Machine::default());
    }

    #[test]
    fn this_machine_has_a_core_and_memory() {
        let here = Machine::here();
        assert!(here.cores > 0 && here.memory_mib > 0 && !here.kernel.is_empty(), "{here:?}");
    }
}
