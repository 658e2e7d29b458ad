//! The one thread that spawns servers which must die with this process.
//!
//! `PR_SET_PDEATHSIG` fires when the *thread* that forked the child ends, not the process; a test's thread ends with
//! its test, so a shared server would die in the middle of another. This thread lives as long as the process does.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};

type Job = (Command, Sender<io::Result<Child>>);

/// Spawns a child that the kernel kills when this process ends, however it ends.
///
/// # Errors
/// As [`Command::spawn`].
///
/// # Panics
/// When the thread that spawns cannot be started.
pub fn spawn_bound(mut command: Command) -> io::Result<Child> {
    let parent = std::process::id();
    // SAFETY: only async-signal-safe calls (prctl, getppid, _exit) between fork and exec; no allocation, no locks.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before prctl took hold; then nobody would ever send the signal.
            if u32::try_from(libc::getppid()) != Ok(parent) {
                libc::_exit(1);
            }
            Ok(())
        });
    }
    let (answer, reply) = channel();
    keeper().lock().expect("the keeper's sender is never poisoned").send((command, answer)).map_err(gone)?;
    reply.recv().map_err(gone)?
}

/// Spawns a child in a session of its own, so that it outlives this process and its terminal.
pub(crate) fn spawn_daemon(mut command: Command) -> io::Result<Child> {
    // SAFETY: setsid is async-signal-safe and nothing else runs between fork and exec.
    unsafe {
        command.pre_exec(|| if libc::setsid() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) });
    }
    command.spawn()
}

fn keeper() -> &'static Mutex<Sender<Job>> {
    static KEEPER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    KEEPER.get_or_init(|| {
        let (jobs, inbox) = channel();
        std::thread::Builder::new()
            .name("server-keeper".into())
            .spawn(move || serve(&inbox))
            .expect("a thread can be started");
        Mutex::new(jobs)
    })
}

fn serve(inbox: &Receiver<Job>) {
    while let Ok((mut command, answer)) = inbox.recv() {
        if let Err(unsent) = answer.send(command.spawn())
            && let Ok(mut child) = unsent.0
        {
            // Nobody waits for this child any more, so nobody would ever stop it.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn gone<E>(_: E) -> io::Error {
    io::Error::other("the thread that spawns servers has ended")
}
