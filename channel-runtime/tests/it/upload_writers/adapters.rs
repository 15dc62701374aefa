//! Writers that wrap another.

mod count;
mod hash;
mod magic_bytes;
mod rate_limit;

use std::sync::{Arc, Mutex};

use channel_runtime::{
    Bytes,
    upload::{CloseReason, UploadEntry, UploadWriter, WriterError},
};

/// Records its calls for as long as the test needs.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    told: Arc<Mutex<Told>>,
    fails_at: Option<usize>,
}

#[derive(Default)]
pub(crate) struct Told {
    pub(crate) entry: Option<String>,
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) closed: Option<String>,
}

impl Kept {
    /// Creates a writer that refuses this chunk, counted from 0.
    fn failing_at(chunk: usize) -> Self {
        Kept {
            fails_at: Some(chunk),
            ..Kept::default()
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.told.lock().unwrap().chunks.concat()
    }

    fn chunks(&self) -> usize {
        self.told.lock().unwrap().chunks.len()
    }

    fn closed(&self) -> Option<String> {
        self.told.lock().unwrap().closed.clone()
    }
}

impl UploadWriter for Kept {
    type Meta = Vec<u8>;

    async fn init(&mut self, entry: &UploadEntry) -> Result<(), WriterError> {
        self.told.lock().unwrap().entry = Some(entry.client_name().to_owned());
        Ok(())
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), WriterError> {
        let chunks = &mut self.told.lock().unwrap().chunks;
        if self.fails_at == Some(chunks.len()) {
            return Err(WriterError::refuse("broken"));
        }
        chunks.push(chunk);
        Ok(())
    }

    async fn close(&mut self, reason: CloseReason<'_>) -> Result<(), WriterError> {
        let reason = match reason {
            CloseReason::Done => "done".to_owned(),
            CloseReason::Cancel => "cancel".to_owned(),
            CloseReason::Error(error) => error.reason().to_owned(),
        };
        self.told.lock().unwrap().closed = Some(reason);
        Ok(())
    }

    fn meta(&self) -> Vec<u8> {
        self.bytes()
    }
}

mod all_of_them {
    use channel_runtime::upload::{
        Count, Counts, Hash, MagicBytes, RateLimit, RateLimiter, TempFile,
    };

    use super::*;
    use crate::upload_writers::support::{entry, files, swept_dir, upload};

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

    fn around<W>(inner: W) -> Count<RateLimit<MagicBytes<Hash<W>>>> {
        let hashed = MagicBytes::new(Hash::new(inner), &["image/png"]);
        let limited = RateLimit::new(hashed, &RateLimiter::per_second(1_000_000));
        Count::new(limited, &Counts::new())
    }

    #[tokio::test]
    async fn go_into_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = around(TempFile::in_dir(dir.path()));
        let meta = upload(&mut writer, &[PNG]).await.unwrap();
        assert_eq!(meta.content_type, "image/png");
        assert_eq!(meta.inner.hex().len(), 64);
        assert_eq!(std::fs::read(meta.inner.inner.path()).unwrap(), PNG);
    }

    #[tokio::test]
    async fn pass_on_what_they_are_told() {
        let kept = Kept::default();
        let mut writer = around(kept.clone());
        writer.init(&entry(100)).await.unwrap();
        assert_eq!(
            kept.told.lock().unwrap().entry.as_deref(),
            Some("photo.png")
        );
        writer.close(CloseReason::Cancel).await.unwrap();
        assert_eq!(kept.closed().unwrap(), "cancel");

        let kept = Kept::failing_at(0);
        let failed = upload(&mut around(kept.clone()), &[PNG]).await.unwrap_err();
        assert_eq!(failed.reason(), "broken");
        assert_eq!(kept.closed().unwrap(), "broken");
    }

    #[tokio::test]
    async fn leave_nothing_of_an_upload_that_is_cancelled() {
        let dir = swept_dir();
        let mut writer = around(TempFile::in_dir(dir.path()));
        writer.init(&entry(100)).await.unwrap();
        writer.write_chunk(Bytes::from_static(PNG)).await.unwrap();
        writer.close(CloseReason::Cancel).await.unwrap();
        assert!(files(dir.path()).is_empty());
    }
}
