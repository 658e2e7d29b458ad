//! The gateway and the worker of a demo: processes of this executable that cannot outlive it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use loadtest::http::{Connection, Request};
use tokio::time::{Instant, sleep};

use super::plan::Plan;

/// How long a process may take to be ready, and how long to drain.
const READY: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines of a log that are shown when its process has failed.
const TAIL_LINES: usize = 20;

/// The processes started so far; killed when dropped.
pub struct Children {
    logs: PathBuf,
    running: Vec<Running>,
}

struct Running {
    role: &'static str,
    child: Child,
    log: PathBuf,
}

impl Children {
    /// None yet; their logs will be in `logs`.
    pub fn new(logs: PathBuf) -> Self {
        Self { logs, running: Vec::new() }
    }

    /// Starts a gateway and a worker, or one process that is both, and waits until they say that they are ready.
    ///
    /// # Errors
    /// When one ends or is not ready in time; the error shows the end of its log.
    pub async fn start(&mut self, plan: &Plan) -> anyhow::Result<()> {
        fs::create_dir_all(&self.logs).with_context(|| format!("create {}", self.logs.display()))?;
        let roles = if plan.servers.is_some() { ["gateway", "worker"] } else { ["serve", "serve"] };
        let mut spawned = roles.to_vec();
        spawned.dedup();
        for role in spawned {
            let running = Running::spawn(role, &self.logs, plan)?;
            self.running.push(running);
        }
        self.wait_ready(roles[0], plan.config.http.ops_listen).await?;
        self.wait_ready(roles[1], plan.config.worker.ops_listen).await
    }

    /// # Errors
    /// When a process has ended that nobody told to.
    pub fn check(&mut self) -> anyhow::Result<()> {
        for running in &mut self.running {
            if let Some(status) = running.child.try_wait()? {
                bail!("the {} has ended by itself ({status}); {}", running.role, tail(&running.log));
            }
        }
        Ok(())
    }

    /// Lets both drain; true when both left with success. What does not leave in time is killed.
    pub async fn stop(&mut self) -> bool {
        // The gateway first: what its relay publishes while it drains still finds a worker.
        let mut well = true;
        for mut running in self.running.drain(..) {
            let left = running.leave().await;
            if !left.is_some_and(|status| status.success()) {
                let how = left.map_or_else(
                    || "did not drain in time".to_owned(),
                    |status| format!("left with {status}"),
                );
                eprintln!("the {} {how}; {}", running.role, tail(&running.log));
                well = false;
            }
        }
        well
    }

    /// Removes the logs, and what is beside them, or says where they are.
    pub fn clear(&self, remove: bool) {
        if remove {
            // A log that cannot be removed is no reason to fail a sale.
            let _ = fs::remove_dir_all(&self.logs);
        } else if self.logs.exists() {
            println!("logs          {}", self.logs.display());
        }
    }

    async fn wait_ready(&mut self, role: &str, ops: SocketAddr) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY;
        let request = Request::new("GET", "/readyz", &ops.to_string(), &[], None);
        let mut connection = Connection::new(ops, None, Duration::from_secs(2));
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
                let log = self.logs.join(format!("{role}.log"));
                bail!("the {role} is not ready after {} s: {said}; {}", READY.as_secs(), tail(&log));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Running {
    fn spawn(role: &'static str, logs: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let log = logs.join(format!("{role}.log"));
        let mut command = Command::new(std::env::current_exe().context("this executable")?);
        command.arg(role);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SPIKE_"))
        {
            command.env_remove(name);
        }
        command.envs(&plan.env);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        // Ctrl-C is for the demo, which then ends them in order.
        command.process_group(0);
        let child = spike_devstack::spawn_bound(command).with_context(|| format!("start the {role}"))?;
        Ok(Self { role, child, log })
    }

    /// SIGTERM and the exit status; `None` when it had to be killed.
    async fn leave(&mut self) -> Option<ExitStatus> {
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
}

impl Drop for Running {
    fn drop(&mut self) {
        // Neither does anything to a child that has left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown: String =
        lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| format!("\n  | {line}")).collect();
    format!("the end of {}:{shown}", log.display())
}
