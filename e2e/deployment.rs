//! What the files of `deploy` rely on: their settings are taken, and a container's seccomp profile without io_uring is no obstacle.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use spike_config::{Config, Profile};

use crate::fresh::place;
use crate::http;
use crate::poll::until;
use crate::process::{Env, command};

/// Variables of a file of `NAME=value` lines.
fn variables(file: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    lines.map(|line| pair(line).unwrap_or_else(|| panic!("{file}: {line}"))).collect()
}

#[test]
fn the_settings_of_kubernetes_are_taken() {
    let base = variables("base/settings.env");
    let prod = variables("overlays/prod/settings.env");
    let example = variables("overlays/prod/secrets.env.example");
    let mut secrets = example.clone();
    secrets.values_mut().filter(|value| *value == "REPLACE_ME").for_each(|value| *value = value.repeat(4));
    let with = |more: &[&BTreeMap<String, String>]| {
        let mut env = base.clone();
        more.iter().for_each(|more| env.extend((*more).clone()));
        Config::load(None, env)
    };
    let config = with(&[&prod, &secrets]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.profile, Profile::Prod);
    with(&[&prod]).expect_err("prod without its secrets must not start");
    with(&[&prod, &example]).expect_err("nor with those of the example");
    let config = with(&[&variables("overlays/dev/secrets.env")]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.profile, Profile::Dev);
    let migration = variables("overlays/prod/migration.env.example");
    Config::load(None, migration).unwrap_or_else(|errors| panic!("{errors}"));
}

/// A shop in one process; ends with its test.
struct Serving {
    child: Child,
    http: std::net::SocketAddr,
    ops: std::net::SocketAddr,
    log: std::path::PathBuf,
}

impl Serving {
    /// With that driver, under a filter of system calls or not.
    fn start(driver: &str, filtered: bool) -> Self {
        let (dir, [http, ops], mut env): (_, _, Env) = place();
        env.insert("SPIKE_HOT_DRIVER".to_owned(), driver.to_owned());
        env.insert("SPIKE_HOT_CORES".to_owned(), "1".to_owned());
        let log = dir.join("serve.log");
        let mut serve = command(&["serve"], &env, &dir);
        serve
            .stderr(File::create(&log).expect("a file"))
            .stdout(File::create(dir.join("said")).expect("a file"));
        if filtered {
            without_io_uring(&mut serve);
        }
        Self { child: spike_devstack::spawn_bound(serve).expect("the binary starts"), http, ops, log }
    }

    fn wait_ready(&mut self) {
        until("it is ready", || {
            let ended = self.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "it ended: {}", self.said());
            http::try_call(self.ops, "GET", "/readyz", &[], None).filter(|answer| answer.status == 200)
        });
        let answer = http::call(self.http, "GET", "/api/v1/products", &[], None);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether a ring is among its files.
    fn has_ring(&self) -> bool {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs");
        let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        targets.into_iter().any(|target| target.to_string_lossy().contains("io_uring"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets the command meet EPERM at each call of io_uring, as under the usual profiles of container runtimes.
fn without_io_uring(command: &mut Command) {
    const CALLS: [u32; 3] = [425, 426, 427]; // io_uring_setup, _enter, _register: the same on every architecture
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("16 bits"),
        jt,
        jf,
        k,
    };
    let refuse = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EPERM).expect("positive");
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (at, call) in CALLS.into_iter().enumerate() {
        let to_refusal = u8::try_from(CALLS.len() - at).expect("a few");
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to_refusal, 0, call));
    }
    program.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, refuse));
    let install = move || {
        let length = libc::c_ushort::try_from(program.len()).expect("a few");
        let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
        // SAFETY: both calls read plain numbers and the program, which outlives them; nothing is allocated after the fork.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0
        };
        if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}

#[test]
fn where_io_uring_is_refused_a_core_runs_on_epoll_and_says_so() {
    let mut refused = Serving::start("auto", true);
    refused.wait_ready();
    assert!(!refused.has_ring(), "there is no way to have one");
    let said = refused.said();
    assert!(said.contains("io_uring is not to be had; this core runs on epoll"), "{said}");

    let mut insisting = Serving::start("io_uring", true);
    let status = until("it gives up", || insisting.child.try_wait().expect("it can be waited for"));
    let said = insisting.said();
    assert!(!status.success() && said.contains("io_uring"), "{status}: {said}");

    // Where the kernel has it and nobody forbids it, auto takes it: the refusal above was the filter's.
    let allowed =
        std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_else(|_| "0".to_owned());
    let mut free = Serving::start("auto", false);
    free.wait_ready();
    if !free.said().contains("io_uring is not to be had") {
        assert!(free.has_ring() && allowed.trim() == "0", "{}", free.said());
    }
}
