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

/// The numbers of `/proc/PID/stat` that matter here, in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Field 14, `utime`.
    pub user_ticks: u64,
    /// Field 15, `stime`.
    pub system_ticks: u64,
    /// Field 22, `starttime`.
    pub started_ticks: u64,
}

/// Looks at process `pid`.
///
/// # Errors
/// The process is gone, or `/proc` is not Linux'.
pub fn read(pid: u32) -> io::Result<Usage> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {text:?}"));
    let stat = parse_stat(&text).ok_or_else(unreadable)?;
    let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    Ok(Usage {
        cpu_us: ticks_to_us(stat.user_ticks + stat.system_ticks, ticks_per_s()),
        started_ticks: stat.started_ticks,
        rss_kib: memory.ok().and_then(|text| parse_rss_kib(&text)),
    })
}

/// Reads `/proc/PID/stat`. The name in its second field may hold blanks and brackets, so fields count from the last one.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    // The first field after the name is the third.
    let mut field = |skipped: usize| fields.nth(skipped)?.parse::<u64>().ok();
    Some(Stat { user_ticks: field(11)?, system_ticks: field(0)?, started_ticks: field(6)? })
}

/// `Rss` of `/proc/PID/smaps_rollup`, KiB.
pub fn parse_rss_kib(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Clock ticks as microseconds.
pub fn ticks_to_us(ticks: u64, ticks_per_s: u64) -> u64 {
    ticks.saturating_mul(1_000_000) / ticks_per_s.max(1)
}

fn ticks_per_s() -> u64 {
    // SAFETY: sysconf reads a constant of the system and no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (we (ird) na)me) S 1 4242 4242 0 -1 4194560 9000 0 12 0 1500 250 7 8 20 0 9 0 88990 \
                        1234567 345 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn fields_count_from_the_end_of_the_name() {
        let want = Stat { user_ticks: 1500, system_ticks: 250, started_ticks: 88_990 };
        assert_eq!(parse_stat(STAT), Some(want));
        for bad in ["", "4242 (a) S 1 2", "4242 no name", &STAT.replace("1500", "many")] {
            assert_eq!(parse_stat(bad), None, "{bad}");
        }
        assert_eq!((ticks_to_us(1750, 100), ticks_to_us(1, 1000)), (17_500_000, 1000));
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
        assert!(read(u32::MAX).is_err());
    }
}
