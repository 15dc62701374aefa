//! The default writer: a file that exists until its last handle is dropped.

mod directory;
mod stored;

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

pub use self::stored::StoredFile;
use self::{
    directory::{Directory, sweep},
    stored::Temporary,
};
use crate::upload::{CloseReason, Paused, UploadEntry, UploadWriter, WriterError};

/// Writes an upload to a temporary file that only the program's user can read (mode `0600`).
///
/// The handler gets a [`StoredFile`]. The file is removed when the last of its handles is dropped,
/// so move a file that is to stay with [`StoredFile::persist`]. An upload that ends early leaves
/// nothing.
///
/// ```
/// use channel_runtime::upload::TempFile;
///
/// let in_the_system_s = TempFile::new();
/// // On the file system of the place it will stay at, persisting is a rename.
/// let beside_the_photos = TempFile::in_dir("/var/lib/app/incoming");
/// ```
///
/// # What a crash leaves
///
/// A process keeps its files in a directory of its own, `channel-uploads-PID-RANDOM` (mode `0700`),
/// and holds a lock in there for as long as it lives; the kernel releases the lock however the
/// process dies. The first upload of a process into a directory starts a sweep, which removes the
/// files of dead processes; [`TempFile::sweep`] does the same on demand.
///
/// # Limits
///
/// One open file while its client sends, and none while the upload waits for a client that may come
/// back. Two chunks in memory: one is written, on a thread of tokio's blocking pool, while the
/// client sends the next. A full disk ends the upload with the reason `no_space`, at the next chunk
/// or at the end. Nothing is synced before [`StoredFile::persist`]: a temporary file does not
/// outlive the machine. A file system without locks is refused.
#[derive(Debug, Default)]
pub struct TempFile {
    base: Option<PathBuf>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Not begun, discarded, or moved into the blocking pool.
    #[default]
    None,
    Open(OpenFile),
    /// The last chunk is being written, with the file moved into the task: if the writer is dropped
    /// meanwhile, the file is removed.
    Writing(JoinHandle<io::Result<OpenFile>>),
    /// The client is gone and may come back.
    Paused(PausedFile),
    Done(StoredFile),
}

#[derive(Debug)]
struct OpenFile {
    temporary: Temporary,
    file: File,
    len: u64,
}

/// The file with its name, without its descriptor.
#[derive(Debug)]
struct PausedFile {
    temporary: Temporary,
    len: u64,
}

impl TempFile {
    /// Creates a writer of a file under [`std::env::temp_dir`].
    pub fn new() -> Self {
        TempFile::default()
    }

    /// Creates a writer of a file under `dir`, which is created if it is missing.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        TempFile {
            base: Some(dir.into()),
            state: State::None,
        }
    }

    /// Removes the files that dead processes have left under `dir`, and returns their number. Files
    /// of live processes, including this one, and those of other users stay.
    ///
    /// This happens by itself when a process writes its first upload to `dir`. Call it at start for
    /// directories that no longer receive uploads, or to free the space earlier.
    ///
    /// ```no_run
    /// # async fn start() -> std::io::Result<()> {
    /// use channel_runtime::upload::TempFile;
    ///
    /// TempFile::sweep(std::env::temp_dir()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if `dir` cannot be listed; one that does not exist has nothing to remove. A
    /// file that cannot be removed is logged, and stays.
    pub async fn sweep(dir: impl AsRef<Path>) -> io::Result<u64> {
        let dir = dir.as_ref().to_owned();
        spawn_blocking(move || sweep(&dir)).await?
    }
}

impl UploadWriter for TempFile {
    type Meta = StoredFile;

    async fn init(&mut self, _: &UploadEntry) -> Result<(), WriterError> {
        let base = self.base.clone().unwrap_or_else(std::env::temp_dir);
        self.state = State::Open(spawn_blocking(move || OpenFile::create(&base)).await??);
        Ok(())
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), WriterError> {
        let open = self.open().await?;
        self.state = State::Writing(spawn_blocking(move || open.write(&chunk)));
        Ok(())
    }

    async fn pause(&mut self) -> Result<Paused, WriterError> {
        let open = self.open().await?;
        self.state = State::Paused(spawn_blocking(move || open.pause()).await?);
        Ok(Paused::Closed)
    }

    async fn resume(&mut self) -> Result<(), WriterError> {
        let State::Paused(paused) = std::mem::take(&mut self.state) else {
            return Err(WriterError::new("the temporary file is not paused"));
        };
        self.state = State::Open(spawn_blocking(move || paused.open()).await??);
        Ok(())
    }

    async fn close(&mut self, reason: CloseReason<'_>) -> Result<(), WriterError> {
        if let (CloseReason::Cancel, State::Paused(_)) = (reason, &self.state) {
            if let State::Paused(paused) = std::mem::take(&mut self.state) {
                spawn_blocking(move || paused.temporary.remove()).await?;
            }
            return Ok(());
        }
        match reason {
            CloseReason::Done => {
                let open = self.open().await?;
                self.state = State::Done(spawn_blocking(move || open.finish()).await?);
            }
            CloseReason::Cancel | CloseReason::Error(_) => {
                // A file that could not be written is removed already.
                if let Ok(open) = self.open().await {
                    spawn_blocking(move || open.temporary.remove()).await?;
                }
            }
        }
        Ok(())
    }

    /// # Panics
    ///
    /// Panics before `close(Done)`.
    fn meta(&self) -> StoredFile {
        match &self.state {
            State::Done(stored) => stored.clone(),
            _ => panic!("an upload that is not done has no file"),
        }
    }
}

impl TempFile {
    /// Returns the file once its last chunk is written.
    async fn open(&mut self) -> Result<OpenFile, WriterError> {
        match std::mem::take(&mut self.state) {
            State::Open(open) => Ok(open),
            State::Writing(written) => Ok(written.await??),
            _ => Err(WriterError::new("the temporary file is not open")),
        }
    }
}

impl OpenFile {
    fn create(base: &Path) -> io::Result<Self> {
        let directory = Directory::of_process(base)?;
        let file = tempfile::Builder::new()
            .prefix("upload-")
            .tempfile_in(directory.path())?;
        let (file, path) = file.into_parts();
        Ok(OpenFile {
            temporary: Temporary::new(path, directory),
            file,
            len: 0,
        })
    }

    fn write(mut self, chunk: &[u8]) -> io::Result<Self> {
        match self.file.write_all(chunk) {
            Ok(()) => {
                self.len += chunk.len() as u64;
                Ok(self)
            }
            Err(error) => {
                self.temporary.remove();
                Err(error)
            }
        }
    }

    fn pause(self) -> PausedFile {
        PausedFile {
            temporary: self.temporary,
            len: self.len,
        }
    }

    /// Closes the file, which takes long on some file systems.
    fn finish(self) -> StoredFile {
        StoredFile::new(self.temporary, self.len)
    }
}

impl PausedFile {
    /// Opens the file again. Its directory belongs to this user alone, so the file under its name
    /// is the one written before.
    fn open(self) -> io::Result<OpenFile> {
        let mut file = File::options().write(true).open(self.temporary.path())?;
        if file.seek(SeekFrom::End(0))? != self.len {
            return Err(io::Error::other("the temporary file has another length"));
        }
        Ok(OpenFile {
            temporary: self.temporary,
            file,
            len: self.len,
        })
    }
}
