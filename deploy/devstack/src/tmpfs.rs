//! A small file system in memory, for a disk that is full. Needs root.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// What takes the room on a full disk.
const FILLER: &str = "filler";

/// A file system of a few megabytes on a folder; gone, with its files, when dropped.
#[derive(Debug)]
pub struct Tmpfs {
    folder: PathBuf,
}

impl Tmpfs {
    /// Mounts one of `bytes` on `folder`, whose own files are hidden until it is dropped.
    ///
    /// # Errors
    /// When this process may not mount, or there is no such folder.
    pub fn mount(folder: &Path, bytes: u64) -> anyhow::Result<Self> {
        let folder = folder.canonicalize()?;
        let (kind, target) = (c"tmpfs", text(&folder)?);
        let options = CString::new(format!("size={bytes},mode=0700"))?;
        // SAFETY: all four pointers are strings that outlive the call.
        let done =
            unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
        if done != 0 {
            return Err(io::Error::last_os_error()).with_context(|| format!("mount on {}", folder.display()));
        }
        Ok(Self { folder })
    }

    /// Leaves no room.
    ///
    /// # Errors
    /// Anything but that the disk is full.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut filler = File::create(self.folder.join(FILLER))?;
        let piece = vec![0; 64 * 1024];
        loop {
            match filler.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("fill the disk"),
            }
        }
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn free(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.folder.join(FILLER))?)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(&self.folder);
    }
}

/// Ends every mount below `folder`: a test that was killed could not.
pub(crate) fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    targets.filter(|target| target.starts_with(folder)).for_each(unmount);
}

fn unmount(folder: &Path) {
    if let Ok(target) = text(folder) {
        // SAFETY: the pointer is a string that outlives the call.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

fn text(path: &Path) -> anyhow::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
