//! Counts the received files and bytes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;

use crate::upload::{CloseReason, Paused, UploadEntry, UploadWriter, WriterError, telemetry};

/// Counts the files and bytes of another writer, in [`Counts`] and in the metrics
/// `channel_upload_bytes_total{upload}` and `channel_upload_files_total{upload,outcome}`.
///
/// ```
/// use channel_runtime::upload::{Count, Counts, TempFile, UploadEntry};
///
/// # struct Gallery { counts: Counts }
/// # impl Gallery {
/// fn photos(&self, _: &UploadEntry) -> Count<TempFile> {
///     Count::new(TempFile::new(), &self.counts)
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Count<W> {
    inner: W,
    counts: Counts,
    file: Option<OpenFile>,
}

impl<W> Count<W> {
    /// Counts in `counts`, which any number of writers may share.
    pub fn new(inner: W, counts: &Counts) -> Self {
        Count {
            inner,
            counts: counts.clone(),
            file: None,
        }
    }
}

/// The totals of the [`Count`]s that share it.
#[derive(Clone, Default)]
pub struct Counts(Arc<Numbers>);

#[derive(Default)]
struct Numbers {
    bytes: AtomicU64,
    started: AtomicU64,
    done: AtomicU64,
    cancelled: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    /// Creates counts of 0.
    pub fn new() -> Self {
        Counts::default()
    }

    /// Returns the number of bytes written, including those of files that failed.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    /// Returns the number of files that were begun.
    pub fn started(&self) -> u64 {
        self.0.started.load(Relaxed)
    }

    /// Returns the number of complete files.
    pub fn done(&self) -> u64 {
        self.0.done.load(Relaxed)
    }

    /// Returns the number of files that ended early: the client left, or the file was cancelled.
    pub fn cancelled(&self) -> u64 {
        self.0.cancelled.load(Relaxed)
    }

    /// Returns the number of files whose writer failed.
    pub fn failed(&self) -> u64 {
        self.0.failed.load(Relaxed)
    }

    /// Returns the number of files in progress.
    pub fn in_progress(&self) -> u64 {
        // Reads the ends first: a file that ends in between must not make this negative.
        let ended = self.done() + self.cancelled() + self.failed();
        self.started().saturating_sub(ended)
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts")
            .field("bytes", &self.bytes())
            .field("started", &self.started())
            .field("done", &self.done())
            .field("cancelled", &self.cancelled())
            .field("failed", &self.failed())
            .finish()
    }
}

/// A file that was begun. Dropping it before its end counts it as cancelled.
#[derive(Debug)]
struct OpenFile {
    counts: Counts,
    upload: &'static str,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Done,
    Cancelled,
    Failed,
}

impl OpenFile {
    fn start(counts: &Counts, upload: &'static str) -> Self {
        counts.0.started.fetch_add(1, Relaxed);
        telemetry::file(upload, "started");
        OpenFile {
            counts: counts.clone(),
            upload,
            outcome: Outcome::Cancelled,
        }
    }

    fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let numbers = &self.counts.0;
        let (number, outcome) = match self.outcome {
            Outcome::Done => (&numbers.done, "done"),
            Outcome::Cancelled => (&numbers.cancelled, "cancelled"),
            Outcome::Failed => (&numbers.failed, "failed"),
        };
        number.fetch_add(1, Relaxed);
        telemetry::file(self.upload, outcome);
    }
}

impl<W> Count<W> {
    fn end(&mut self, outcome: Outcome) {
        if let Some(file) = self.file.take() {
            file.end(outcome);
        }
    }
}

impl<W: UploadWriter> UploadWriter for Count<W> {
    type Meta = W::Meta;

    async fn init(&mut self, entry: &UploadEntry) -> Result<(), WriterError> {
        self.file = Some(OpenFile::start(&self.counts, entry.upload()));
        let begun = self.inner.init(entry).await;
        if begun.is_err() {
            self.end(Outcome::Failed);
        }
        begun
    }

    async fn pause(&mut self) -> Result<Paused, WriterError> {
        self.inner.pause().await
    }

    async fn resume(&mut self) -> Result<(), WriterError> {
        self.inner.resume().await
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), WriterError> {
        let len = chunk.len() as u64;
        self.inner.write_chunk(chunk).await?;
        if let Some(file) = &self.file {
            self.counts.0.bytes.fetch_add(len, Relaxed);
            telemetry::bytes(file.upload, len);
        }
        Ok(())
    }

    async fn close(&mut self, reason: CloseReason<'_>) -> Result<(), WriterError> {
        let closed = self.inner.close(reason).await;
        self.end(match reason {
            CloseReason::Done if closed.is_ok() => Outcome::Done,
            CloseReason::Cancel => Outcome::Cancelled,
            CloseReason::Done | CloseReason::Error(_) => Outcome::Failed,
        });
        closed
    }

    fn meta(&self) -> W::Meta {
        self.inner.meta()
    }
}
