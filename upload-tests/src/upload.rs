//! Drives a writer as the task of an upload does.

use std::time::Duration;

use bytes::Bytes;
use channel_runtime::upload::{CloseReason, UploadEntry, UploadWriter, WriterError};

/// Returns an entry of this size.
pub fn entry(size: usize) -> UploadEntry {
    UploadEntry::example("file.bin", size as u64, "application/octet-stream")
}

/// Returns bytes that differ from one part to the next.
pub fn pattern(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

/// Writes `bytes` in pieces of 64,000, and does not close.
///
/// # Errors
///
/// Returns the writer's error, of `init` or of the first chunk that failed.
pub async fn write<W: UploadWriter>(
    writer: &mut W,
    size: usize,
    bytes: &[u8],
) -> Result<(), WriterError> {
    writer.init(&entry(size)).await?;
    // An empty file is one empty chunk.
    let first = &bytes[..bytes.len().min(64_000)];
    writer.write_chunk(Bytes::copy_from_slice(first)).await?;
    for chunk in bytes[first.len()..].chunks(64_000) {
        writer.write_chunk(Bytes::copy_from_slice(chunk)).await?;
    }
    Ok(())
}

/// Writes a whole file, and closes the writer in any case.
///
/// # Errors
///
/// Returns the writer's error.
pub async fn upload<W: UploadWriter>(writer: &mut W, bytes: &[u8]) -> Result<W::Meta, WriterError> {
    if let Err(error) = write(writer, bytes.len(), bytes).await {
        writer.close(CloseReason::Error(&error)).await.unwrap();
        return Err(error);
    }
    writer.close(CloseReason::Done).await?;
    Ok(writer.meta())
}

/// Waits for an effect of a task without a handle.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let watch = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let watched = tokio::time::timeout(Duration::from_secs(60), watch).await;
    assert!(watched.is_ok(), "still not so: {what}");
}
