//! What Linux says of a process: the processor time of all its threads, and its resident memory.

use std::fs;
use std::io;

/// One look at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of every thread since the process began, also of those that have ended, microseconds.
    pub cpu_us: u64,
    /// When the process began, clock ticks since the boot: tells a process from a later one with its pid.
    pub started_ticks: u64,
    /// Resident memory in KiB; `None` where it may not be read.
    pub rss_kib: Option<u64>,
}

/// Looks at process `pid`.
///
/// # Errors
/// The process is gone, or this is not Linux.
pub fn read(pid: u32) -> io::Result<Usage> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {text:?}"));
    let started_ticks = parse_started(&text).ok_or_else(unreadable)?;
    let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    Ok(Usage {
        cpu_us: cpu_us(pid)?,
        started_ticks,
        rss_kib: memory.ok().and_then(|text| parse_rss_kib(&text)),
    })
}

/// Field 22 of `/proc/PID/stat`, `starttime` in clock ticks. The name in its second field may hold blanks and brackets, so
/// fields count from the last one.
pub fn parse_started(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(')')?;
    // The first field after the name is the third.
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// `Rss` of `/proc/PID/smaps_rollup`, KiB.
pub fn parse_rss_kib(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The process's own CPU clock. `/proc/PID/stat` shows the same in ticks of 10 ms, too coarse for a few thousand requests.
#[cfg(target_os = "linux")]
fn cpu_us(pid: u32) -> io::Result<u64> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut clock = 0;
    // SAFETY: writes the id of a clock into `clock`.
    let code = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes into `time`.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    u64::try_from(time.tv_sec * 1_000_000 + time.tv_nsec / 1000).map_err(io::Error::other)
}

#[cfg(not(target_os = "linux"))]
fn cpu_us(_: u32) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (we (ird) na)me) S 1 4242 4242 0 -1 4194560 9000 0 12 0 1500 250 7 8 20 0 9 0 88990 \
                        1234567 345 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn fields_count_from_the_end_of_the_name() {
        assert_eq!(parse_started(STAT), Some(88_990));
        for bad in ["", "4242 (a) S 1 2", "4242 no name", &STAT.replace("88990", "many")] {
            assert_eq!(parse_started(bad), None, "{bad}");
        }
    }

    #[test]
    fn resident_memory_is_the_line_rss() {
        let text = "5581d000-7ffe1000 ---p 00000000 00:00 0   [rollup]\nRss:          43520 kB\nPss:  1 kB\n";
        assert_eq!(parse_rss_kib(text), Some(43_520));
        assert_eq!((parse_rss_kib(""), parse_rss_kib("Rss: much kB")), (None, None));
    }

    #[test]
    fn this_process_can_be_read_and_none_that_is_not() {
        let usage = read(std::process::id()).unwrap();
        assert!(usage.started_ticks > 0 && usage.rss_kib.is_some_and(|kib| kib > 100), "{usage:?}");
        let before = usage.cpu_us;
        while read(std::process::id()).unwrap().cpu_us == before {
            std::hint::spin_loop();
        }
        assert!(read(u32::MAX).is_err());
    }
}
