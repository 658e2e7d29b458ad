//! A server never outlives the process that started it, however that process ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use spike_devstack::{RedisOptions, RedisServer, fixture};

/// Names the folder in which a copy of this test process starts a server and waits to be killed.
const VICTIM: &str = "SPIKE_TEST_VICTIM";

#[test]
fn a_killed_process_takes_its_servers_with_it() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        // From a thread that ends at once: the server must live as long as the process, not the thread.
        let server = std::thread::spawn(move || RedisServer::start(Path::new(&dir), RedisOptions::default()));
        let server = server.join().expect("no panic").expect("started");
        fs::write(server.dir().join("ready"), server.pid().expect("it runs").to_string()).expect("written");
        loop {
            std::thread::park();
        }
    }
    let dir = fixture::folder("victim");
    let mut victim = Command::new(std::env::current_exe().expect("this test's program"))
        .args(["--exact", "lifetime::a_killed_process_takes_its_servers_with_it"])
        .env(VICTIM, &dir)
        .stdout(Stdio::null())
        .spawn()
        .expect("started again");
    let mut pid = String::new();
    let ready = until(|| {
        pid = fs::read_to_string(dir.join("ready")).unwrap_or_default();
        !pid.is_empty()
    });
    assert!(ready && runs(&pid), "the copy's server runs");
    victim.kill().expect("killed");
    victim.wait().expect("gone");
    assert!(until(|| !runs(&pid)), "redis {pid} outlived its process");
}

fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Nobody may collect it here: a zombie counts as gone.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[allow(clippy::disallowed_methods, reason = "polls another process with a deadline")]
fn until(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
