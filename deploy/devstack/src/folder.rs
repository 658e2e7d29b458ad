//! Fresh folders for tests, and the end of those nobody removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use anyhow::Context;

/// A killed or failed run's folders stay this long for whoever wants to look at their logs.
const KEPT: Duration = Duration::from_secs(3600);

static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static PANICKED: AtomicBool = AtomicBool::new(false);

/// A new empty folder, `<temp>/spike-tests/<pid>/<name>-<n>`; removed when this process exits without a panic.
pub(crate) fn fresh(name: &str) -> anyhow::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static WATCH: Once = Once::new();
    let root = std::env::temp_dir().join("spike-tests");
    WATCH.call_once(|| {
        sweep(&root);
        watch_for_failure();
    });
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = root.join(std::process::id().to_string()).join(format!("{name}-{number}"));
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    made().push(folder.clone());
    Ok(folder)
}

/// Notes a panic, and removes this process's folders at its exit when there was none.
fn watch_for_failure() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::Relaxed);
        previous(info);
    }));
    // SAFETY: the handler is a plain function that lives as long as the program and does not unwind.
    unsafe { libc::atexit(remove_at_exit) };
}

extern "C" fn remove_at_exit() {
    crate::fixture::stop_shared();
    if PANICKED.load(Ordering::Relaxed) {
        return;
    }
    for folder in made().drain(..) {
        let _ = fs::remove_dir_all(&folder);
        // The process's own folder goes with the last one in it.
        let _ = folder.parent().map(fs::remove_dir);
    }
}

/// Removes what processes that are gone have left behind, once it is old.
fn sweep(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let gone = !Path::new("/proc").join(entry.file_name()).exists();
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
        if gone && age.is_some_and(|age| age > KEPT) {
            crate::tmpfs::unmount_below(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn made() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}
