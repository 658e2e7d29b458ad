//! One server process: how it is launched, watched and ended.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::ready::{START_DEADLINE, poll, tail};
use crate::record::Record;
use crate::{keeper, ready};

/// Set in every server's environment, so that a pid can be checked to be ours before it gets a signal.
const MARK: &str = "SPIKE_DEVSTACK_DIR";

/// Who ends a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It ends when the value is dropped, and at the latest with this process, even when that is killed.
    Bound,
    /// It outlives this process; `devstack down` ends it.
    Daemon,
}

/// Everything needed to start a server, again and again on the same folder and ports.
#[derive(Debug)]
pub(crate) struct Launch {
    pub name: &'static str,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(&'static str, OsString)>,
    pub dir: PathBuf,
    pub lifetime: Lifetime,
}

impl Launch {
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(&self.dir)
            .envs(self.env.iter().map(|(key, value)| (key, value)));
        command.env(MARK, &self.dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = match self.lifetime {
            Lifetime::Bound => keeper::spawn_bound(command),
            Lifetime::Daemon => keeper::spawn_daemon(command),
        };
        child.with_context(|| format!("start {}", self.program.display()))
    }
}

/// A server's process, started by us or found running in its folder.
#[derive(Debug)]
pub(crate) struct Process {
    launch: Launch,
    held: Mutex<Held>,
}

#[derive(Debug)]
enum Held {
    Started(Child),
    Found(u32),
    Ended,
}

impl Process {
    /// Takes over the recorded process if it still runs, else starts a new one, which may still be far from ready.
    pub(crate) fn find_or_start(launch: Launch, recorded: Option<u32>) -> anyhow::Result<Process> {
        let held = match recorded.filter(|pid| is_ours(*pid, &launch.dir)) {
            Some(pid) => Held::Found(pid),
            None => Held::Started(launch.spawn()?),
        };
        Ok(Process { launch, held: Mutex::new(held) })
    }

    /// True when it was running before we came; then its files are not ours to write.
    pub(crate) fn was_found(&self) -> bool {
        matches!(*self.held(), Held::Found(_))
    }

    /// The pid, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        match &*self.held() {
            Held::Started(child) => Some(child.id()),
            Held::Found(pid) => Some(*pid),
            Held::Ended => None,
        }
    }

    /// Waits until `answers` is true of the live process; ends it and shows its log when that takes too long.
    pub(crate) fn wait_ready(&self, mut answers: impl FnMut() -> bool) -> anyhow::Result<()> {
        let outcome = poll(START_DEADLINE, || {
            if answers() && self.alive() {
                return Some(true);
            }
            (!self.alive()).then_some(false)
        });
        let complaint = match outcome {
            Some(true) => return Ok(()),
            Some(false) => "ended while starting".to_owned(),
            None => format!("was not ready after {} s", START_DEADLINE.as_secs()),
        };
        if !self.was_found() {
            self.kill9();
        }
        bail!("{} {complaint}; {}", self.launch.name, tail(&self.launch.log()))
    }

    /// SIGKILL, and waits until the process is gone. Nothing to do when it is gone already.
    ///
    /// # Panics
    /// When an earlier command started it: others use it, and `devstack down` ends it.
    pub(crate) fn kill9(&self) {
        let mut held = self.held();
        match &mut *held {
            Held::Started(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Held::Found(pid) => panic!("{} (pid {pid}) is shared: start one to kill", self.launch.name),
            Held::Ended => {}
        }
        *held = Held::Ended;
    }

    /// Kills it and starts the same launch again.
    pub(crate) fn respawn(&self) -> anyhow::Result<()> {
        self.kill9();
        *self.held() = Held::Started(self.launch.spawn()?);
        Ok(())
    }

    /// Freezes it (SIGSTOP): connections stay open and nothing answers.
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        self.signal(libc::SIGSTOP)
    }

    /// Lets a frozen process go on (SIGCONT).
    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        self.signal(libc::SIGCONT)
    }

    fn alive(&self) -> bool {
        match &mut *self.held() {
            Held::Started(child) => matches!(child.try_wait(), Ok(None)),
            Held::Found(pid) => is_ours(*pid, &self.launch.dir),
            Held::Ended => false,
        }
    }

    fn signal(&self, signal: libc::c_int) -> anyhow::Result<()> {
        match self.pid() {
            Some(pid) if self.alive() && !self.was_found() => send(pid, signal),
            _ => bail!("{} in {} is not running, or is shared", self.launch.name, self.launch.dir.display()),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.launch.lifetime == Lifetime::Bound && !self.was_found() {
            self.kill9();
        }
    }
}

/// True when `pid` runs and its command line names `dir` or its environment carries our mark for `dir`, so that a
/// recycled pid is left alone.
pub(crate) fn is_ours(pid: u32, dir: &Path) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the command's name, which is in brackets and may itself hold brackets and spaces.
    let zombie = stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'));
    let words = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mark = format!("{MARK}={}", dir.display());
    let named =
        words("cmdline").split(|byte| *byte == 0).any(|word| mentions(&String::from_utf8_lossy(word), dir));
    !zombie && (named || words("environ").split(|byte| *byte == 0).any(|word| word == mark.as_bytes()))
}

/// Fails unless the server that `dir` remembers runs.
pub(crate) fn require_running(dir: &Path) -> anyhow::Result<()> {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    match Record::load(&dir).get("pid") {
        Some(pid) if is_ours(pid, &dir) => Ok(()),
        _ => bail!("no server runs in {}: start it with 'devstack up'", dir.display()),
    }
}

/// Ends a process of ours: SIGTERM with `grace` to finish, then SIGKILL. Leaves anybody else's pid alone.
pub(crate) fn end(pid: u32, dir: &Path, grace: Duration) {
    if !is_ours(pid, dir) {
        return;
    }
    if !grace.is_zero() {
        // A frozen process cannot act on SIGTERM before it goes on.
        let _ = send(pid, libc::SIGTERM).and_then(|()| send(pid, libc::SIGCONT));
        if poll(grace, || (!is_ours(pid, dir)).then_some(())).is_some() {
            return;
        }
    }
    let _ = send(pid, libc::SIGKILL);
    let _ = poll(ready::START_DEADLINE, || (!is_ours(pid, dir)).then_some(()));
}

/// The first of `names` found on PATH or where Debian keeps servers.
pub(crate) fn program(names: &[&str]) -> anyhow::Result<PathBuf> {
    // RabbitMQ's folder comes first: the wrapper of the same name in /usr/sbin changes user and shares one folder.
    let debian = ["/usr/lib/rabbitmq/bin", "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        debian.iter().map(PathBuf::from).chain(std::env::split_paths(&path)).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("{} not found: run 'make install-servers'", names[0]))
}

/// True for effective user 0: some servers then want to be told that this is meant.
pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// `dir` itself or something inside it; a folder whose name only begins the same is another stack.
fn mentions(word: &str, dir: &Path) -> bool {
    let dir = dir.to_string_lossy();
    word.match_indices(dir.as_ref())
        .any(|(at, found)| matches!(word.as_bytes().get(at + found.len()), None | Some(b'/')))
}

fn send(pid: u32, signal: libc::c_int) -> anyhow::Result<()> {
    let pid = libc::pid_t::try_from(pid)?;
    // SAFETY: kill takes plain numbers; the caller has checked that the process is ours.
    if unsafe { libc::kill(pid, signal) } != 0 {
        return Err(std::io::Error::last_os_error())
            .with_context(|| format!("signal {signal} to process {pid}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_not_taken_for_one_whose_name_begins_the_same() {
        let dir = Path::new("/srv/stack");
        for (word, expected) in [
            ("--datadir=/srv/stack/data", true),
            ("/srv/stack2/redis.conf", false),
            ("/srv/stack2:/srv/stack/x", true),
            ("/srv", false),
        ] {
            assert_eq!(mentions(word, dir), expected, "{word}");
        }
    }

    #[test]
    fn a_foreign_pid_is_not_ours() {
        assert!(!is_ours(std::process::id(), Path::new("/no/such/stack")));
        assert!(!is_ours(u32::MAX, Path::new("/")));
    }

    #[test]
    fn a_missing_server_names_the_command_that_installs_it() {
        let error = program(&["no-such-server"]).expect_err("it does not exist");
        assert_eq!(error.to_string(), "no-such-server not found: run 'make install-servers'");
    }
}
