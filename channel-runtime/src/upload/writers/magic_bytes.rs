//! Checks the type of a file by its content instead of its name.

use bytes::{Bytes, BytesMut};

use crate::upload::{CloseReason, Paused, UploadEntry, UploadWriter, WriterError};

/// The number of first bytes that determine a type, at most.
const START: usize = 8192;

/// Passes a file to another writer if its first bytes are those of a type on the list.
///
/// A browser guesses a file's type from the name. This writer looks at the first 8,192 bytes;
/// before they are here (or the whole file, if it is shorter), the inner writer gets no byte. A
/// file of another type, or of an unknown one, ends with the reason `not_accepted_content`. The
/// handler gets [`Detected`].
///
/// The list has MIME types in lower case, such as `image/png`, and families, such as `image/*`. See
/// the crate [`infer`](https://docs.rs/infer) for the known types. Plain text, CSV, JSON and SVG
/// have no such bytes, so they do not pass. A file that begins like an image may still be broken,
/// or be another type as well: the decoder has the last word.
///
/// ```
/// use channel_runtime::upload::{MagicBytes, TempFile, UploadEntry};
///
/// fn avatar(_: &UploadEntry) -> MagicBytes<TempFile> {
///     MagicBytes::new(TempFile::new(), &["image/png", "image/jpeg"])
/// }
/// ```
#[derive(Debug)]
pub struct MagicBytes<W> {
    inner: W,
    accepted: &'static [&'static str],
    /// The number of bytes still to come.
    missing: u64,
    /// The file's first bytes, until the type is known.
    start: BytesMut,
    content_type: Option<&'static str>,
}

/// The value that a handler gets from [`MagicBytes`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Detected<M> {
    /// The value of the inner writer.
    pub inner: M,
    /// The MIME type of the file's first bytes.
    pub content_type: &'static str,
}

impl<W> MagicBytes<W> {
    /// Creates a writer that accepts files of these types.
    pub fn new(inner: W, accepted: &'static [&'static str]) -> Self {
        MagicBytes {
            inner,
            accepted,
            missing: 0,
            start: BytesMut::new(),
            content_type: None,
        }
    }

    fn check(&self, start: &[u8]) -> Result<&'static str, WriterError> {
        let found = infer::get(start).map(|known| known.mime_type());
        let accepts = |found: &&str| {
            self.accepted
                .iter()
                .any(|item| match item.strip_suffix('*') {
                    Some(family) => found.starts_with(family),
                    None => found == item,
                })
        };
        found
            .filter(accepts)
            .ok_or_else(|| WriterError::refuse("not_accepted_content"))
    }
}

impl<W: UploadWriter> UploadWriter for MagicBytes<W> {
    type Meta = Detected<W::Meta>;

    async fn init(&mut self, entry: &UploadEntry) -> Result<(), WriterError> {
        self.missing = entry.client_size();
        self.inner.init(entry).await
    }

    async fn pause(&mut self) -> Result<Paused, WriterError> {
        self.inner.pause().await
    }

    async fn resume(&mut self) -> Result<(), WriterError> {
        self.inner.resume().await
    }

    async fn write_chunk(&mut self, mut chunk: Bytes) -> Result<(), WriterError> {
        if self.content_type.is_none() {
            self.missing = self.missing.saturating_sub(chunk.len() as u64);
            let held = self.start.len() + chunk.len();
            if held < START && self.missing > 0 {
                self.start.extend_from_slice(&chunk);
                return Ok(());
            }
            if !self.start.is_empty() {
                self.start.extend_from_slice(&chunk);
                chunk = std::mem::take(&mut self.start).freeze();
            }
            self.content_type = Some(self.check(&chunk[..chunk.len().min(START)])?);
        }
        self.inner.write_chunk(chunk).await
    }

    async fn close(&mut self, reason: CloseReason<'_>) -> Result<(), WriterError> {
        self.inner.close(reason).await
    }

    /// # Panics
    ///
    /// Panics before `close(Done)`.
    fn meta(&self) -> Self::Meta {
        Detected {
            inner: self.inner.meta(),
            content_type: self
                .content_type
                .expect("the last chunk decides at the latest"),
        }
    }
}
