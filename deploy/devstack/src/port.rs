//! Free loopback ports that stay ours while a server is down.
//!
//! A port from the kernel's ephemeral range could be taken by any outgoing connection between a kill and a restart,
//! so ports come from below that range (Linux starts it at 32768) and are never handed out twice by one process.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;

const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port on 127.0.0.1 that nothing listens on. The search starts somewhere else in each process and call.
///
/// # Errors
/// When every port of the range is in use.
pub fn free() -> anyhow::Result<u16> {
    let mut guard = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let taken = guard.get_or_insert_default();
    let start = seed();
    for step in 0..COUNT {
        let port = FIRST + (start % COUNT + step) % COUNT;
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT - 1)
}

/// Processes that start together differ in pid, calls of one process in time.
fn seed() -> u16 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let mixed = u64::from(nanos ^ std::process::id().rotate_left(16)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u16::try_from(mixed >> 48).expect("a u64 shifted by 48 has 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_below_the_ephemeral_range() {
        let ports: Vec<u16> = (0..50).map(|_| free().expect("a free port")).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        assert!(ports.iter().all(|port| (FIRST..32_768).contains(port)));
    }

    #[test]
    fn a_port_in_use_is_not_offered() {
        let port = free().expect("a free port");
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it is free");
        TAKEN.lock().expect("not poisoned").get_or_insert_default().remove(&port);
        for _ in 0..20 {
            assert_ne!(free().expect("a free port"), port);
        }
    }
}
