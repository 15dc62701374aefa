//! The contract of a writer, which takes the bytes of an upload, and how it is called.

use crate::telemetry::{line, shown};
use std::{
    any::Any,
    borrow::Cow,
    error::Error as StdError,
    fmt,
    future::Future,
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};

use super::UploadEntry;
use crate::telemetry::panic_message;

/// Takes the bytes of one upload as they arrive. Mirrors the `Phoenix.LiveView.UploadWriter`
/// behaviour.
///
/// An `#[allow_upload]` method returns one for each file that is allowed. Its work before
/// [`UploadWriter::init`] should cost nothing, since many of those files never arrive.
///
/// # When each method is called
///
/// Each runs in the upload's own channel, one after the other. So none of them needs a lock, and a
/// method that waits holds up neither the connection nor another upload:
///
/// 1. `init`, once, when the client begins to send.
/// 2. `write_chunk` for each chunk. The client gets `ok` when it returns, and sends the next
///    chunk only then, so chunks never pile up behind a slow writer.
/// 3. `close`, at most once: with [`CloseReason::Done`] after the last byte, in the same turn as
///    the last `write_chunk`, and the last chunk is answered only then; with
///    [`CloseReason::Cancel`] when the upload ends early; with [`CloseReason::Error`] after a
///    `write_chunk` that has failed.
/// 4. `meta`, when the channel takes the file, once for each time it does.
///
/// An upload whose client can resume waits for it with [`UploadWriter::pause`], and goes on with
/// [`UploadWriter::resume`]; while paused it can be closed with [`CloseReason::Cancel`], too.
///
/// The number of writers open at once is bounded by [`UploadOptions`](crate::upload::UploadOptions): a join
/// waits before `init`, and before `resume`.
///
/// A client waits for `chunk_timeout` (default: 10 s), so each write must be done by then, the last
/// one together with its `close`. The limit for `init` is 10 s.
///
/// # What a failure causes
///
/// | failed | `close` is called | the client gets | the entry |
/// |---|---|---|---|
/// | `init` | no | the join refused: `writer_error` | stays, with the error `writer_failure` |
/// | `write_chunk` | with `Error` | the chunk refused: `writer_error`, then `phx_close` | the same |
/// | `close(Done)` | that was it | the same | the same |
/// | `close(Cancel)`, `close(Error)` | that was it | nothing: it is over already | as it was |
///
/// A panic in any of them is such a failure, and ends this one upload only; a panic in the writer's
/// `Drop` is logged. The page sees the reason of the [`WriterError`].
///
/// # When nothing is called
///
/// A writer is dropped without a `close` only if no task is left to wait for one: the task was
/// dropped with the runtime, or a write did not end within the upload's shutdown time (30 s) after
/// it was cancelled. So remove in `Drop` too what must never stay behind, and remove what `kill -9`
/// leaves at the next start ([`TempFile`](super::TempFile) does both).
///
/// ```
/// use channel_runtime::{Bytes, prelude::*, upload::{CloseReason, UploadEntry, UploadWriter, WriterError}};
///
/// /// Counts lines, and keeps nothing.
/// #[derive(Default)]
/// struct Lines(u64);
///
/// impl UploadWriter for Lines {
///     type Meta = u64;
///
///     async fn init(&mut self, _: &UploadEntry) -> Result<(), WriterError> {
///         Ok(())
///     }
///
///     async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), WriterError> {
///         if chunk.contains(&0) {
///             return Err(WriterError::refuse("not_text"));
///         }
///         self.0 += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
///         Ok(())
///     }
///
///     async fn close(&mut self, _: CloseReason<'_>) -> Result<(), WriterError> {
///         Ok(())
///     }
///
///     fn meta(&self) -> u64 {
///         self.0
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an upload writer",
    label = "not a writer",
    note = "an `#[allow_upload]` returns a type that implements `UploadWriter`, such as `TempFile`, an `External`, or a `Result` of these"
)]
pub trait UploadWriter: Send + 'static {
    /// The value that the channel's handler gets for a finished file.
    type Meta: Send + 'static;

    /// Opens the target of the writes.
    ///
    /// # Errors
    ///
    /// A [`WriterError`] refuses the upload before its first byte.
    fn init(&mut self, entry: &UploadEntry)
    -> impl Future<Output = Result<(), WriterError>> + Send;

    /// Takes the next bytes. An empty file is one empty chunk.
    ///
    /// Need not be cancel safe: it is awaited to its end, or dropped with the writer.
    ///
    /// # Errors
    ///
    /// A [`WriterError`] ends the upload.
    fn write_chunk(&mut self, chunk: Bytes)
    -> impl Future<Output = Result<(), WriterError>> + Send;

    /// Closes what can be opened again, such as a file descriptor, and returns whether it did: the
    /// client is gone and may come back. Called after the last `write_chunk` has returned; `resume`
    /// or `close` is next.
    ///
    /// The default closes nothing: the writer then holds what it has open for `detach` (default: 30
    /// s), and its place among the uploads that may be open at once
    /// ([`UploadOptions`](crate::upload::UploadOptions)). A writer around another one passes on both the
    /// call and the answer.
    ///
    /// # Errors
    ///
    /// A [`WriterError`] ends the upload as one of `write_chunk` does.
    fn pause(&mut self) -> impl Future<Output = Result<Paused, WriterError>> + Send {
        async { Ok(Paused::Open) }
    }

    /// Opens what `pause` has closed, at the position of the last byte: the client is back.
    ///
    /// # Errors
    ///
    /// A [`WriterError`] ends the upload as one of `init` does; `close` is called first, with it.
    fn resume(&mut self) -> impl Future<Output = Result<(), WriterError>> + Send {
        async { Ok(()) }
    }

    /// Completes or discards the file.
    ///
    /// # Errors
    ///
    /// After [`CloseReason::Done`], a [`WriterError`] makes the upload fail after all; in the other
    /// cases it is logged.
    fn close(
        &mut self,
        reason: CloseReason<'_>,
    ) -> impl Future<Output = Result<(), WriterError>> + Send;

    /// Returns the value for the handler. Called only after `close(Done)`, and again if the file
    /// was postponed.
    fn meta(&self) -> Self::Meta;
}

/// The state in which [`UploadWriter::pause`] leaves a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paused {
    /// Nothing is open: the place is free for another upload.
    Closed,
    /// Everything is still open.
    Open,
}

/// The reason why a writer is closed.
#[derive(Clone, Copy, Debug)]
pub enum CloseReason<'e> {
    /// Every byte was written.
    Done,
    /// The upload ends early: the client or the channel cancelled it, the client left or sent too
    /// much, a deadline passed, or the connection or the channel ended.
    Cancel,
    /// `write_chunk` has failed.
    Error(&'e WriterError),
}

/// The reason why a writer could not go on.
///
/// It has two halves: the reason, a word for the page, which the client gets; and the cause, which
/// is logged and stays on the server. `?` converts any error into one, with the reason
/// `writer_failure`, or `no_space` if the disk is full.
///
/// ```
/// use channel_runtime::upload::WriterError;
///
/// let error = WriterError::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
/// assert_eq!(error.reason(), "no_space");
/// assert_eq!(WriterError::refuse("not_an_image").reason(), "not_an_image");
/// ```
pub struct WriterError {
    reason: Cow<'static, str>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl WriterError {
    const FAILURE: &'static str = "writer_failure";
    const NO_SPACE: &'static str = "no_space";

    /// Creates a refusal with a reason that the page may show, a word such as `not_an_image`.
    pub fn refuse(reason: impl Into<Cow<'static, str>>) -> Self {
        WriterError {
            reason: reason.into(),
            cause: None,
        }
    }

    /// Creates a failure with a cause that the client does not see; text is accepted.
    pub fn new(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let cause = cause.into();
        let full = |error: &io::Error| {
            matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            )
        };
        let reason = match cause.downcast_ref::<io::Error>().is_some_and(full) {
            true => Self::NO_SPACE,
            false => Self::FAILURE,
        };
        WriterError {
            reason: reason.into(),
            cause: Some(cause),
        }
    }

    /// Returns the reason for the page.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the cause for the server's log.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.cause.as_deref()
    }

    fn gone() -> Self {
        WriterError::new("the writer is gone")
    }

    fn panicked(panic: &(dyn Any + Send)) -> Self {
        WriterError::new(format!("the writer panicked: {}", panic_message(panic)))
    }
}

/// Not an [`std::error::Error`] itself, so that `?` can convert any error into one.
impl<E: StdError + Send + Sync + 'static> From<E> for WriterError {
    fn from(cause: E) -> Self {
        WriterError::new(cause)
    }
}

impl fmt::Display for WriterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{}: {}", line(&self.reason), shown(cause)),
            None => f.write_str(&line(&self.reason)),
        }
    }
}

impl fmt::Debug for WriterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterError")
            .field("reason", &self.reason)
            .field("cause", &self.cause)
            .finish()
    }
}

/// A writer of any type, with its panics turned into errors.
pub(crate) trait AnyWriter: Send {
    fn init<'a>(&'a mut self, entry: &'a UploadEntry) -> BoxFuture<'a, Result<(), WriterError>>;
    fn write_chunk(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), WriterError>>;
    fn pause(&mut self) -> BoxFuture<'_, Result<Paused, WriterError>>;
    fn resume(&mut self) -> BoxFuture<'_, Result<(), WriterError>>;
    fn close<'a>(&'a mut self, reason: CloseReason<'a>) -> BoxFuture<'a, Result<(), WriterError>>;

    /// Returns the `W::Meta` of the writer's own type.
    fn meta(&self) -> Result<Box<dyn Any + Send>, WriterError>;
}

/// `None` while it is dropped, so that a panic there is caught too.
pub(super) struct Guarded<W>(Option<W>);

impl<W: UploadWriter> Guarded<W> {
    pub(super) fn new(writer: W) -> Self {
        Guarded(Some(writer))
    }

    fn writer(&mut self) -> Result<&mut W, WriterError> {
        self.0.as_mut().ok_or_else(WriterError::gone)
    }
}

impl<W> Drop for Guarded<W> {
    fn drop(&mut self) {
        let writer = self.0.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(writer))) {
            let panic = panic_message(&*panic);
            tracing::error!(
                panic = &*line(panic),
                "a writer has panicked when it was dropped"
            );
        }
    }
}

impl<W: UploadWriter> AnyWriter for Guarded<W> {
    fn init<'a>(&'a mut self, entry: &'a UploadEntry) -> BoxFuture<'a, Result<(), WriterError>> {
        guarded(async move { self.writer()?.init(entry).await })
    }

    fn write_chunk(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), WriterError>> {
        guarded(async move { self.writer()?.write_chunk(chunk).await })
    }

    fn pause(&mut self) -> BoxFuture<'_, Result<Paused, WriterError>> {
        guarded(async move { self.writer()?.pause().await })
    }

    fn resume(&mut self) -> BoxFuture<'_, Result<(), WriterError>> {
        guarded(async move { self.writer()?.resume().await })
    }

    fn close<'a>(&'a mut self, reason: CloseReason<'a>) -> BoxFuture<'a, Result<(), WriterError>> {
        guarded(async move { self.writer()?.close(reason).await })
    }

    fn meta(&self) -> Result<Box<dyn Any + Send>, WriterError> {
        let writer = self.0.as_ref().ok_or_else(WriterError::gone)?;
        match catch_unwind(AssertUnwindSafe(|| writer.meta())) {
            Ok(meta) => Ok(Box::new(meta)),
            Err(panic) => Err(WriterError::panicked(&*panic)),
        }
    }
}

/// Runs the call itself inside `call`, since a method that is not async may panic as well.
fn guarded<'a, T>(
    call: impl Future<Output = Result<T, WriterError>> + Send + 'a,
) -> BoxFuture<'a, Result<T, WriterError>> {
    let call = AssertUnwindSafe(call).catch_unwind();
    Box::pin(call.map(|result| result.unwrap_or_else(|panic| Err(WriterError::panicked(&*panic)))))
}
