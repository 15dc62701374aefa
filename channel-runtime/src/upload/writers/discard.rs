//! A writer that keeps nothing.

use bytes::Bytes;

use crate::upload::{CloseReason, UploadEntry, UploadWriter, WriterError};

/// Takes every byte and keeps none: for tests, for benchmarks, and under an adapter that only
/// inspects a file.
///
/// ```
/// use channel_runtime::upload::{Count, Counts, Discard};
///
/// let counts = Counts::new();
/// let only_counts = Count::new(Discard, &counts);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl UploadWriter for Discard {
    type Meta = ();

    async fn init(&mut self, _: &UploadEntry) -> Result<(), WriterError> {
        Ok(())
    }

    async fn write_chunk(&mut self, _: Bytes) -> Result<(), WriterError> {
        Ok(())
    }

    async fn close(&mut self, _: CloseReason<'_>) -> Result<(), WriterError> {
        Ok(())
    }

    fn meta(&self) {}
}
