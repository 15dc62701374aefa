//! A store that keeps its objects in memory, records its requests, and can be slow.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart, memory::InMemory,
    path::Path,
};
use parking_lot::Mutex;

/// Records the sizes of all parts, in order, and the events.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    store: Arc<InMemory>,
    parts: Arc<Mutex<Vec<usize>>>,
    events: Arc<Mutex<Vec<&'static str>>>,
    /// The time for the first part; the second takes twice as long, and so on.
    part_time: Duration,
}

#[derive(Debug)]
struct RecordedUpload {
    upload: Box<dyn MultipartUpload>,
    record: Recorder,
}

impl Recorder {
    /// Creates a store that takes this time for its first part, twice as long for its second, and
    /// so on.
    pub fn slow(part_time: Duration) -> Self {
        Recorder {
            part_time,
            ..Recorder::default()
        }
    }

    /// Returns the events so far: a part `begins` or `ends`, or there is an `abort`.
    pub fn events(&self) -> Vec<&'static str> {
        self.events.lock().clone()
    }

    /// Returns the sizes so far; empty for an object that was put as a whole.
    pub fn parts(&self) -> Vec<usize> {
        self.parts.lock().clone()
    }
}

impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({})", self.store)
    }
}

#[async_trait]
impl MultipartUpload for RecordedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let record = self.record.clone();
        let number = {
            let mut parts = record.parts.lock();
            parts.push(data.content_length());
            u32::try_from(parts.len()).unwrap()
        };
        record.events.lock().push("begins");
        let part = self.upload.put_part(data);
        Box::pin(async move {
            if !record.part_time.is_zero() {
                tokio::time::sleep(record.part_time * number).await;
            }
            let taken = part.await;
            record.events.lock().push("ends");
            taken
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.upload.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.record.events.lock().push("abort");
        self.upload.abort().await
    }
}

#[async_trait]
impl ObjectStore for Recorder {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(RecordedUpload {
            upload: self.store.put_multipart_opts(location, options).await?,
            record: self.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
