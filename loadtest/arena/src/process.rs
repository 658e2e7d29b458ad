//! Processes of a run that cannot outlive it: started with their log in a file, on one CPU where that is wanted, waited for,
//! and told to leave.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use loadtest::http::{Connection, Request};
use tokio::time::{Instant, sleep};

/// How long a process may take to be ready, and how long to drain.
const READY: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines of a log that are shown when its process has failed.
const TAIL_LINES: usize = 20;

/// How to start a process.
#[derive(Debug, Clone)]
pub struct Launch {
    /// What it is called in messages and in its log's file name.
    pub name: String,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its settings; `SPIKE_*` of this process are not passed on.
    pub env: BTreeMap<String, String>,
    /// The folder of its log; made when missing.
    pub logs: PathBuf,
    /// The CPU that all its threads stay on.
    pub cpu: Option<usize>,
}

/// A running process, killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(launch: &Launch) -> anyhow::Result<Self> {
        fs::create_dir_all(&launch.logs).with_context(|| format!("create {}", launch.logs.display()))?;
        let log = launch.logs.join(format!("{}.log", launch.name));
        let mut command = match launch.cpu {
            Some(cpu) => {
                let mut pinned = Command::new("taskset");
                pinned.args(["--cpu-list", &cpu.to_string()]).arg(&launch.program);
                pinned
            }
            None => Command::new(&launch.program),
        };
        command.args(&launch.args);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SPIKE_"))
        {
            command.env_remove(name);
        }
        command.envs(&launch.env);
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // Ctrl-C is for the run, which then ends them in order.
        command.process_group(0);
        let child =
            spike_devstack::spawn_bound(command).with_context(|| format!("start the {}", launch.name))?;
        Ok(Self { name: launch.name.clone(), child, log })
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// # Errors
    /// When it has ended though nobody told it to; the error shows the end of its log.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the {} has ended by itself ({status}); {}", self.name, tail(&self.log));
        }
        Ok(())
    }

    /// Waits until `GET path` on `address` is answered with 200.
    ///
    /// # Errors
    /// When it ends or is not ready in time; the error shows the end of its log.
    pub async fn wait_ready(&mut self, address: SocketAddr, path: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY;
        let request = Request::new("GET", path, &address.to_string(), &[], None);
        let mut connection = Connection::new(address, None, Duration::from_secs(2));
        loop {
            self.check()?;
            let answer = connection.send(&request).await;
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let said = answer.map_or_else(
                    |error| error.to_string(),
                    |answer| format!("{} {}", answer.status, String::from_utf8_lossy(answer.body)),
                );
                let (name, seconds) = (&self.name, READY.as_secs());
                bail!("the {name} is not ready after {seconds} s: {said}; {}", tail(&self.log));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until somebody listens on `address`.
    ///
    /// # Errors
    /// As [`Process::wait_ready`].
    pub async fn wait_listening(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            self.check()?;
            if Instant::now() >= deadline {
                bail!("the {} does not listen on {address}; {}", self.name, tail(&self.log));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// SIGTERM and the exit status; `None` when it had to be killed.
    pub async fn leave(mut self) -> Option<ExitStatus> {
        let pid = libc::pid_t::try_from(self.child.id()).expect("pids fit");
        if matches!(self.child.try_wait(), Ok(None)) {
            // SAFETY: plain numbers; the child has not been waited for, so its pid is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            sleep(LOOK_EVERY).await;
        }
        None
    }

    /// The end of its log, for an error message.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Neither does anything to a child that has left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown: String =
        lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| format!("\n  | {line}")).collect();
    format!("the end of {}:{shown}", log.display())
}
