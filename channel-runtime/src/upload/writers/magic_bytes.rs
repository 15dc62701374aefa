//! A gate that looks at what a file is, not at what it is called.

use bytes::{Bytes, BytesMut};

use crate::upload::{CloseReason, Paused, UploadEntry, UploadWriter, WriterError};

/// What a type is told by, at most.
const START: usize = 8192;

/// Lets a file pass to another writer if its first bytes are those of a type on the list.
///
/// What a browser says of a file's type it guesses from the name. This looks at the first 8,192
/// bytes; before they are here (or the whole file, if it is shorter), the writer inside gets no
/// byte. A file of another type, or of none that is known, ends with the reason
/// `not_accepted_content`. The handler gets [`Detected`].
///
/// The list has MIME types in lower case, such as `image/png`, and families, such as `image/*`. See
/// the crate [`infer`](https://docs.rs/infer) for those that are known. Plain text, CSV, JSON and
/// SVG have no such bytes, so they do not pass. A file that begins like an image may still be
/// broken, or something else as well: what decodes it has the last word.
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
    /// How many bytes are still to come.
    missing: u64,
    /// The file's first bytes, while it is not known.
    start: BytesMut,
    content_type: Option<&'static str>,
}

/// What a handler gets from [`MagicBytes`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Detected<M> {
    /// What the writer inside gives.
    pub inner: M,
    /// The MIME type of the file's first bytes.
    pub content_type: &'static str,
}

impl<W> MagicBytes<W> {
    /// Files of these types pass.
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
    /// Before `close(Done)`.
    fn meta(&self) -> Self::Meta {
        Detected {
            inner: self.inner.meta(),
            content_type: self
                .content_type
                .expect("the last chunk decides at the latest"),
        }
    }
}
