//! The gateway and the worker of a demo: processes of this executable.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use spike_arena::process::{Launch, Process};

use super::plan::Plan;

/// The processes started so far; killed when dropped.
pub struct Children {
    logs: PathBuf,
    running: Vec<Process>,
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
        let roles: &[&str] = if plan.servers.is_some() { &["gateway", "worker"] } else { &["serve"] };
        for role in roles {
            self.running.push(Process::spawn(&Launch {
                name: (*role).to_owned(),
                program: std::env::current_exe().context("this executable")?,
                args: vec![(*role).to_owned()],
                env: plan.env.clone(),
                logs: self.logs.clone(),
                cpu: None,
            })?);
        }
        let (first, last) = (0, self.running.len() - 1);
        self.running[first].wait_ready(plan.config.http.ops_listen, "/readyz").await?;
        self.running[last].wait_ready(plan.config.worker.ops_listen, "/readyz").await
    }

    /// # Errors
    /// When a process has ended that nobody told to.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.running.iter_mut().try_for_each(Process::check)
    }

    /// Lets both drain; true when both left with success. What does not leave in time is killed.
    pub async fn stop(&mut self) -> bool {
        // The gateway first: what its relay publishes while it drains still finds a worker.
        let mut well = true;
        for process in self.running.drain(..) {
            let (name, tail) = (process.name().to_owned(), process.tail());
            let left = process.leave().await;
            if !left.is_some_and(|status| status.success()) {
                let how = left.map_or_else(
                    || "did not drain in time".to_owned(),
                    |status| format!("left with {status}"),
                );
                eprintln!("the {name} {how}; {tail}");
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
}
