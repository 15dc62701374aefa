//! The value that a handler gets for a temporary file.

use std::{
    fmt,
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use tempfile::{NamedTempFile, PathPersistError, TempPath};
use tokio::{runtime::Handle, task::spawn_blocking};

use super::directory::Directory;

/// A file that is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Temporary(Option<(TempPath, Arc<Directory>)>);

impl Temporary {
    pub(super) fn new(path: TempPath, directory: Arc<Directory>) -> Self {
        Temporary(Some((path, directory)))
    }

    /// Returns its path; empty once it is removed.
    pub(super) fn path(&self) -> &Path {
        let file = self.0.as_ref();
        file.map_or(Path::new(""), |(path, _)| path)
    }

    /// Removes the file in this thread.
    pub(super) fn remove(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Temporary {
    /// Removes the file in the blocking pool, since removing a large one takes long. A pool that is
    /// shut down drops the closure instead of running it, which removes it as well.
    fn drop(&mut self) {
        if let (Some(file), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn_blocking(move || drop(file));
        }
    }
}

/// A finished upload in a temporary file. A handler gets it from a [`TempFile`](super::TempFile).
///
/// The clones are handles of one file. It is removed with the last of them, unless it was
/// persisted.
///
/// ```no_run
/// # async fn keep(file: channel_runtime::upload::StoredFile, id: u64) -> std::io::Result<()> {
/// file.persist(format!("/var/lib/app/photos/{id}")).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct StoredFile(Arc<Stored>);

struct Stored {
    written_to: PathBuf,
    persisted_to: OnceLock<PathBuf>,
    /// `None` once it is persisted.
    temporary: Mutex<Option<Temporary>>,
    len: u64,
}

#[derive(Clone, Copy)]
enum Existing {
    Keep,
    Replace,
}

impl StoredFile {
    pub(super) fn new(temporary: Temporary, len: u64) -> Self {
        let path = temporary.0.as_ref().map(|(path, _)| path.to_path_buf());
        StoredFile(Arc::new(Stored {
            written_to: path.unwrap_or_default(),
            persisted_to: OnceLock::new(),
            temporary: Mutex::new(Some(temporary)),
            len,
        }))
    }

    /// Returns its path: the temporary one, or the new one once it is persisted.
    pub fn path(&self) -> &Path {
        self.0.persisted_to.get().unwrap_or(&self.0.written_to)
    }

    /// Returns the number of bytes written.
    pub fn len(&self) -> u64 {
        self.0.len
    }

    /// Returns true if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens the file for reading.
    ///
    /// # Errors
    ///
    /// Returns those of [`std::fs::File::open`].
    pub async fn open(&self) -> io::Result<tokio::fs::File> {
        tokio::fs::File::open(self.path()).await
    }

    /// Moves the file to `to`, where it stays. An existing file is not touched.
    ///
    /// A rename, or, if `to` is on another file system, a copy beside it and then a rename, so half
    /// a file is never visible. When this returns, the content is on the disk. The mode stays
    /// `0600`. The directory must exist.
    ///
    /// Once begun, it runs to its end even if its future is dropped.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::AlreadyExists`] if there is a file at `to`, and [`ErrorKind::NotFound`]
    /// if there is no directory or this file was persisted before; also those of reading and
    /// writing. After an error the temporary file is still there.
    pub async fn persist(&self, to: impl AsRef<Path>) -> io::Result<()> {
        self.place(to.as_ref(), Existing::Keep).await
    }

    /// Does the same as [`StoredFile::persist`], but replaces an existing file at `to` in one step.
    ///
    /// # Errors
    ///
    /// Returns those of [`StoredFile::persist`], except that `to` may exist.
    pub async fn persist_replacing(&self, to: impl AsRef<Path>) -> io::Result<()> {
        self.place(to.as_ref(), Existing::Replace).await
    }

    async fn place(&self, to: &Path, existing: Existing) -> io::Result<()> {
        let to = std::path::absolute(to)?;
        let stored = Arc::clone(&self.0);
        spawn_blocking(move || stored.place(to, existing)).await?
    }
}

impl Stored {
    fn place(&self, to: PathBuf, existing: Existing) -> io::Result<()> {
        let mut temporary = self.temporary.lock();
        let Some((path, directory)) = temporary.take().and_then(|mut file| file.0.take()) else {
            let before = "the file was persisted before";
            return Err(io::Error::new(ErrorKind::NotFound, before));
        };
        match move_to(path, &to, existing) {
            Ok(()) => {
                sync_parent(&to);
                // Not set yet: the lock is held, and the file was still there.
                let _ = self.persisted_to.set(to);
                Ok(())
            }
            Err(PathPersistError { error, path }) => {
                *temporary = Some(Temporary::new(path, directory));
                Err(error)
            }
        }
    }
}

fn move_to(path: TempPath, to: &Path, existing: Existing) -> Result<(), PathPersistError> {
    let synced = File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.sync_all());
    if let Err(error) = synced {
        return Err(PathPersistError { error, path });
    }
    let moved = match existing {
        Existing::Keep => path.persist_noclobber(to),
        Existing::Replace => path.persist(to),
    };
    match moved {
        Err(PathPersistError { error, path }) if error.kind() == ErrorKind::CrossesDevices => {
            // Dropping the path removes what was copied.
            copy_to(&path, to, existing).map_err(|error| PathPersistError { error, path })
        }
        moved => moved,
    }
}

fn copy_to(from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
    let parent = to.parent().ok_or(ErrorKind::InvalidInput)?;
    let mut copy: NamedTempFile = tempfile::Builder::new()
        .prefix(".channel-upload-")
        .tempfile_in(parent)?;
    io::copy(&mut File::open(from)?, copy.as_file_mut())?;
    copy.as_file().sync_all()?;
    match existing {
        Existing::Keep => copy.persist_noclobber(to)?,
        Existing::Replace => copy.persist(to)?,
    };
    Ok(())
}

/// Syncs the directory, so that the new name is on the disk as well. Some file systems cannot do
/// this; the file is in its place either way.
fn sync_parent(path: &Path) {
    if cfg!(unix)
        && let Some(parent) = path.parent()
    {
        let _ = fs::File::open(parent).and_then(|directory| directory.sync_all());
    }
}

impl fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredFile")
            .field("path", &self.path())
            .field("len", &self.len())
            .finish()
    }
}
