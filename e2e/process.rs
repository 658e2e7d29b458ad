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

/// `spike <words>` with these variables, in `dir`.
pub fn command(words: &[&str], env: &Env, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spike"));
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
    role: &'static str,
    env: Env,
    dir: PathBuf,
    ops: SocketAddr,
    child: Child,
}

impl Process {
    /// Starts it and waits until it is ready. Its log is `<dir>/<role>.log`.
    pub fn start(role: &'static str, env: &Env, dir: &Path, ops: SocketAddr) -> Self {
        let child = spawn(role, env, dir);
        let mut process = Self { role, env: env.clone(), dir: dir.to_owned(), ops, child };
        process.wait_ready();
        process
    }

    /// Another of the same role on the same servers, with other variables besides.
    pub fn beside(&self, variables: &[(&str, String)], ops: SocketAddr) -> Self {
        let mut env = self.env.clone();
        env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Self::start(self.role, &env, &self.dir, ops)
    }

    /// SIGKILL, as a machine that loses power.
    pub fn kill9(&mut self) {
        self.child.kill().expect("it runs or is gone");
        self.child.wait().expect("it can be waited for");
    }

    /// Starts it again and waits until it is ready.
    pub fn restart(&mut self) {
        self.kill9();
        self.child = spawn(self.role, &self.env, &self.dir);
        self.wait_ready();
    }

    /// Starts it again with other variables besides, and does not wait for it.
    pub fn launch_with(&mut self, variables: &[(&str, &str)]) {
        self.kill9();
        let mut env = self.env.clone();
        env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.child = spawn(self.role, &env, &self.dir);
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

    fn log(&self) -> String {
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

fn spawn(role: &'static str, env: &Env, dir: &Path) -> Child {
    let path = dir.join(format!("{role}.log"));
    let log: File =
        OpenOptions::new().create(true).append(true).open(path).expect("a log in the test's folder");
    let mut command = command(&[role], env, dir);
    command.stdout(Stdio::null()).stderr(log);
    spike_devstack::spawn_bound(command).expect("the binary starts")
}
