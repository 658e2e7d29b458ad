//! A process of the binary under test.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use crate::http;
use crate::poll::until;

/// The variables of a process; it sees no other `SPIKE_*`.
pub type Env = BTreeMap<String, String>;

/// The binary under test.
pub fn spike() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_spike"))
}

/// `spike <words>` with these variables, in `dir`.
pub fn command(words: &[&str], env: &Env, dir: &Path) -> Command {
    command_of(spike(), words, env, dir)
}

/// The same of another build.
pub fn command_of(binary: &Path, words: &[&str], env: &Env, dir: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(words).current_dir(dir).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SPIKE_")) {
        command.env_remove(name);
    }
    // A planted bug is for the processes as well, in the one build that has any.
    command.envs(std::env::vars_os().filter(|(name, _)| name == "SPIKE_TEST_MUTANT"));
    command.envs(env);
    command
}

/// Runs a command to its end.
pub fn run(words: &[&str], env: &Env, dir: &Path) -> Output {
    command(words, env, dir).output().expect("the binary starts")
}

/// A gateway or a worker; killed when dropped.
pub struct Process {
    binary: PathBuf,
    role: &'static str,
    env: Env,
    dir: PathBuf,
    ops: SocketAddr,
    child: Child,
}

impl Process {
    /// Starts it and waits until it is ready. Its log is `<dir>/<role>.log`.
    pub fn start(role: &'static str, env: &Env, dir: &Path, ops: SocketAddr) -> Self {
        Self::start_of(spike(), role, env, dir, ops)
    }

    /// The same of another build.
    pub fn start_of(binary: &Path, role: &'static str, env: &Env, dir: &Path, ops: SocketAddr) -> Self {
        let child = spawn(binary, role, env, dir);
        let (binary, dir) = (binary.to_owned(), dir.to_owned());
        let mut process = Self { binary, role, env: env.clone(), dir, ops, child };
        process.wait_ready();
        process
    }

    /// Another of the same role on the same servers, of this build and with other variables besides.
    pub fn beside(&self, binary: &Path, variables: &[(&str, String)], ops: SocketAddr) -> Self {
        let mut env = self.env.clone();
        env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Self::start_of(binary, self.role, &env, &self.dir, ops)
    }

    /// The build it is of.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Ends it as an operator does; it must leave with success.
    pub fn leave(mut self) {
        self.signal(libc::SIGTERM);
        let status = self.ended();
        assert!(status.success(), "{status}");
    }

    /// Where operators ask it.
    pub fn ops(&self) -> SocketAddr {
        self.ops
    }

    /// The sum of a counter's series whose labels hold all of `labels`, as `name="value"`.
    pub fn counted(&self, family: &str, labels: &[&str]) -> u64 {
        let answer = http::call(self.ops, "GET", "/metrics", &[], None);
        let text = String::from_utf8(answer.body).expect("UTF-8");
        let value = |line: &str| {
            let (series, value) = line.strip_prefix(family)?.rsplit_once(' ')?;
            let fits = labels.iter().all(|label| series.contains(label));
            (fits && (series.is_empty() || series.starts_with('{')))
                .then(|| value.parse::<u64>().expect("a count"))
        };
        text.lines().filter_map(value).sum()
    }

    /// SIGKILL, as a machine that loses power.
    pub fn kill9(&mut self) {
        self.child.kill().expect("it runs or is gone");
        self.child.wait().expect("it can be waited for");
    }

    /// Starts it again and waits until it is ready.
    pub fn restart(&mut self) {
        self.kill9();
        self.child = spawn(&self.binary, self.role, &self.env, &self.dir);
        self.wait_ready();
    }

    /// Starts it again with other variables besides, and does not wait for it.
    pub fn launch_with(&mut self, variables: &[(&str, &str)]) {
        self.kill9();
        let mut env = self.env.clone();
        env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.child = spawn(&self.binary, self.role, &env, &self.dir);
    }

    /// The variables it was started with.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Whether it says that it is ready, now.
    pub fn ready(&self) -> bool {
        let answer = http::try_call_within(self.ops, "/readyz", Duration::from_secs(2));
        answer.is_some_and(|answer| answer.status == 200)
    }

    /// Starts it again and does not wait for it.
    pub fn launch(&mut self) {
        self.launch_with(&[]);
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("pids fit");
        // SAFETY: plain numbers; the child is waited for in this struct only, so its pid is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "signal {signal} to the {}", self.role);
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        until(&format!("the {} ends", self.role), || self.child.try_wait().expect("it can be waited for"))
    }

    /// Waits until it says that it is ready.
    pub fn wait_ready(&mut self) {
        until(&format!("the {} is ready; its log is in {}", self.role, self.dir.display()), || {
            let ended = self.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "the {} ended: {}", self.role, self.log());
            http::try_call(self.ops, "GET", "/readyz", &[], None).filter(|answer| answer.status == 200)
        });
    }

    /// A figure of its metrics.
    pub fn metric(&self, name: &str) -> u64 {
        let metrics = http::call(self.ops, "GET", "/metrics", &[], None);
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        let figure = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        figure.unwrap_or_else(|| panic!("no {name} in {metrics}"))
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join(format!("{}.log", self.role))).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(binary: &Path, role: &'static str, env: &Env, dir: &Path) -> Child {
    let path = dir.join(format!("{role}.log"));
    let log: File =
        OpenOptions::new().create(true).append(true).open(path).expect("a log in the test's folder");
    let mut command = command_of(binary, &[role], env, dir);
    command.stdout(Stdio::null()).stderr(log);
    spike_devstack::spawn_bound(command).expect("the binary starts")
}
