//! A process's own directory of temporary files, and the sweep of those of dead processes.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::task::spawn_blocking;

const PREFIX: &str = "channel-uploads-";

/// Locked while the process lives. It is the first file of a directory, and the last to be removed,
/// so every directory with other files has it.
const LOCK: &str = "lock";

/// The directories in use, by their base. A base that is listed here has been swept.
static IN_USE: Mutex<BTreeMap<PathBuf, Weak<Directory>>> = Mutex::new(BTreeMap::new());

/// Removed with the last file in it.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Returns the one directory that this process has under `base`.
    pub(super) fn of_process(base: &Path) -> io::Result<Arc<Self>> {
        let base = std::path::absolute(base)?;
        let mut in_use = IN_USE.lock();
        if let Some(directory) = in_use.get(&base).and_then(Weak::upgrade) {
            return Ok(directory);
        }
        let directory = Arc::new(Directory::create(&base)?);
        let swept = in_use.insert(base.clone(), Arc::downgrade(&directory));
        drop(in_use);
        if swept.is_none() {
            // Not awaited: sweeping after a crash may take longer than a client waits.
            spawn_blocking(move || {
                if let Err(error) = sweep(&base) {
                    tracing::warn!(error = %crate::telemetry::shown(&error), dir = %crate::telemetry::shown(&base.display()), "old uploads are not removed");
                }
            });
        }
        Ok(directory)
    }

    fn create(base: &Path) -> io::Result<Self> {
        fs::create_dir_all(base)?;
        let mut builder = tempfile::Builder::new();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        builder.prefix(&prefix).rand_bytes(12);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        // A sweep of another process may remove a directory before its lock is held; the next
        // attempt meets no sweep, or a later one.
        loop {
            let made = builder.tempdir_in(base)?;
            if let Some(lock) = lock(made.path())? {
                let path = made.keep();
                return Ok(Directory { path, _lock: lock });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // The next sweep removes what is left of it.
        let _ = fs::remove_file(self.path.join(LOCK)).and_then(|()| fs::remove_dir(&self.path));
    }
}

/// Returns `None` if a sweep was faster.
fn lock(directory: &Path) -> io::Result<Option<File>> {
    let path = directory.join(LOCK);
    let lock = match File::create_new(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(path.try_exists()?.then_some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes the files of dead processes under `base`, and returns their number.
pub(super) fn sweep(base: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(base) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
        {
            continue;
        }
        let path = entry.path();
        match sweep_directory(&path, &mut removed) {
            Ok(()) => {}
            // Its process, or another sweep, has removed it in the meantime.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(error = %crate::telemetry::shown(&error), dir = %crate::telemetry::shown(&path.display()), "old uploads are not removed");
            }
        }
    }
    Ok(removed)
}

fn sweep_directory(directory: &Path, removed: &mut u64) -> io::Result<()> {
    if !is_ours(directory)? {
        return Ok(());
    }
    let lock_path = directory.join(LOCK);
    let lock = match File::options().read(true).write(true).open(&lock_path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Empty, since its process or a sweep was interrupted at its first or last step.
            return fs::remove_dir(directory);
        }
        lock => lock?,
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
            *removed += 1;
        }
    }
    fs::remove_file(lock_path)?;
    fs::remove_dir(directory)
}

/// Returns true if the directory belongs to this user with mode `0700`, so that no other user can
/// write into it. In a base that all may write to, the name proves nothing.
fn is_ours(directory: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(directory)?;
    #[cfg(unix)]
    let same_user = {
        use std::os::unix::fs::MetadataExt;
        metadata.uid() == rustix::process::geteuid().as_raw()
    };
    #[cfg(not(unix))]
    let same_user = true;
    Ok(metadata.is_dir() && same_user)
}
