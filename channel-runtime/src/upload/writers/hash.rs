//! Computes the digest of a file while it streams.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{
    Sha256,
    digest::{FixedOutput, Update},
};

use crate::telemetry::shown;
use crate::upload::{CloseReason, Paused, UploadEntry, UploadWriter, WriterError};

/// Hashes bytes on their way to another writer; with SHA-256, or any digest of the [`digest`] crate
/// in version 0.11.
///
/// The handler gets [`Hashed`]: the value of the inner writer, and the digest. A chunk is hashed in
/// the upload's task.
///
/// ```
/// use channel_runtime::upload::{Hash, TempFile, UploadEntry};
///
/// fn document(entry: &UploadEntry) -> Hash<TempFile> {
///     let writer = Hash::new(TempFile::new());
///     match entry.client_meta()["sha256"].as_str() {
///         Some(said) => writer.expecting(said),
///         None => writer,
///     }
/// }
/// ```
///
/// [`digest`]: https://docs.rs/digest/0.11
#[derive(Debug)]
pub struct Hash<W, D = Sha256> {
    inner: W,
    expected: Option<String>,
    hasher: Option<D>,
    digest: Vec<u8>,
}

/// The value that a handler gets from a [`Hash`](struct@Hash).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hashed<M> {
    /// The value of the inner writer.
    pub inner: M,
    /// The digest of the whole file.
    pub digest: Vec<u8>,
}

impl<M> Hashed<M> {
    /// Returns the digest in hexadecimal, in lower case.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.digest)
    }
}

impl<W> Hash<W> {
    /// Creates a writer that hashes with SHA-256.
    pub fn new(inner: W) -> Self {
        Hash::with(inner, Sha256::default())
    }
}

impl<W, D> Hash<W, D> {
    /// Creates a writer with another digest, or with a keyed one.
    ///
    /// ```
    /// use channel_runtime::upload::{Discard, Hash};
    /// use sha2::Sha512;
    ///
    /// let hashed = Hash::with(Discard, Sha512::default());
    /// ```
    pub fn with(inner: W, hasher: D) -> Self {
        Hash {
            inner,
            expected: None,
            hasher: Some(hasher),
            digest: Vec::new(),
        }
    }

    /// Refuses a file with another digest, in hexadecimal, with the reason `digest_mismatch`. The
    /// inner writer is closed as after a failed write.
    #[must_use]
    pub fn expecting(mut self, hex: &str) -> Self {
        self.expected = Some(hex.to_ascii_lowercase());
        self
    }
}

impl<W, D> UploadWriter for Hash<W, D>
where
    W: UploadWriter,
    D: Update + FixedOutput + Send + 'static,
{
    type Meta = Hashed<W::Meta>;

    async fn init(&mut self, entry: &UploadEntry) -> Result<(), WriterError> {
        self.inner.init(entry).await
    }

    async fn pause(&mut self) -> Result<Paused, WriterError> {
        self.inner.pause().await
    }

    async fn resume(&mut self) -> Result<(), WriterError> {
        self.inner.resume().await
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), WriterError> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&chunk);
        }
        self.inner.write_chunk(chunk).await
    }

    async fn close(&mut self, reason: CloseReason<'_>) -> Result<(), WriterError> {
        if let (CloseReason::Done, Some(hasher)) = (reason, self.hasher.take()) {
            self.digest = hasher.finalize_fixed().to_vec();
            let differs = |expected: &String| *expected != HEXLOWER.encode(&self.digest);
            if self.expected.as_ref().is_some_and(differs) {
                let mismatch = WriterError::refuse("digest_mismatch");
                if let Err(error) = self.inner.close(CloseReason::Error(&mismatch)).await {
                    tracing::warn!(error = %shown(&error), "a file with a wrong digest is not given up");
                }
                return Err(mismatch);
            }
        }
        self.inner.close(reason).await
    }

    fn meta(&self) -> Self::Meta {
        Hashed {
            inner: self.inner.meta(),
            digest: self.digest.clone(),
        }
    }
}
