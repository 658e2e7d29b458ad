//! What the kernel knows of this process, under the names that client libraries of Prometheus agree on, and what was built.

use std::fs;

use crate::Page;
use crate::catalogue::common::{
    BUILD_INFO, PROCESS_CPU, PROCESS_FDS, PROCESS_FDS_MAX, PROCESS_RESIDENT, PROCESS_START, PROCESS_THREADS,
    PROCESS_VIRTUAL,
};

/// Ticks a second of `/proc/<pid>/stat`, which Linux promises to user space (USER_HZ).
const TICKS_A_SECOND: f64 = 100.0;

/// Shows the process and its build. What cannot be read is left out.
pub fn write_process(page: &mut Page) {
    page.family(&BUILD_INFO).sample(
        &[
            env!("CARGO_PKG_VERSION"),
            option_env!("BUILD_COMMIT").filter(|one| !one.is_empty()).unwrap_or("unknown"),
            env!("BUILD_RUSTC"),
        ],
        1,
    );
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let boot = fs::read_to_string("/proc/stat").ok();
    if let Some(ticks) = stat.as_deref().and_then(Ticks::parse) {
        page.value(&PROCESS_CPU, ticks.used / TICKS_A_SECOND);
        if let Some(boot_s) = boot.as_deref().and_then(|text| number_after(text, "btime ")) {
            page.value(&PROCESS_START, boot_s + ticks.started / TICKS_A_SECOND);
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (family, word, unit) in [
        (&PROCESS_RESIDENT, "VmRSS:", 1024.0),
        (&PROCESS_VIRTUAL, "VmSize:", 1024.0),
        (&PROCESS_THREADS, "Threads:", 1.0),
    ] {
        if let Some(value) = number_after(&status, word) {
            page.value(family, value * unit);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        page.value(&PROCESS_FDS, open.count());
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(most) = number_after(&limits, "Max open files") {
        page.value(&PROCESS_FDS_MAX, most);
    }
}

/// Of `/proc/<pid>/stat`, in ticks.
#[derive(Debug, PartialEq)]
struct Ticks {
    /// User and system time used.
    used: f64,
    /// When the process started, since the machine did.
    started: f64,
}

impl Ticks {
    fn parse(stat: &str) -> Option<Self> {
        // The name may hold spaces and parentheses: the fields are counted from behind its last one (proc(5)).
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some(Self { used: number(11)? + number(12)?, started: number(19)? })
    }
}

/// The number that follows a word at the start of a line.
fn number_after(text: &str, word: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(word)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_hides_no_field() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 1234 5 6";
        assert_eq!(Ticks::parse(stat), Some(Ticks { used: 200.0, started: 1234.0 }));
        assert_eq!(Ticks::parse("nonsense"), None);
    }

    #[test]
    fn this_process_shows_everything() {
        let mut page = Page::default();
        write_process(&mut page);
        let text = page.into_text();
        let value = |name: &str| -> f64 {
            let line =
                text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes ") > 1e5);
        assert!(value("process_virtual_memory_bytes ") >= value("process_resident_memory_bytes "));
        assert!(value("process_open_fds ") >= 3.0 && value("process_max_fds ") >= value("process_open_fds "));
        assert!(value("process_threads ") >= 1.0 && value("process_cpu_seconds_total ") >= 0.0);
        let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let started_s = value("process_start_time_seconds ");
        assert!((now_s - started_s).abs() < 3600.0, "started at {started_s}, and it is {now_s}");
        assert_eq!(value("spike_build_info{version="), 1.0);
        assert!(!text.contains("rustc=\"unknown\""), "{text}");
    }
}
