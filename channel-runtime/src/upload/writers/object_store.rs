//! A writer into S3, GCS, Azure, a directory or memory, through the crate `object_store`.

mod multipart;
mod stored;

use std::{error::Error, fmt, io, sync::Arc};

use bytes::Bytes;
use object_store::{Attributes, PutOptions, path::Path};
use tokio::task::spawn;

use self::{multipart::Multipart, stored::Stored};
use crate::upload::{CloseReason, UploadEntry, UploadWriter, WriterError};

/// The smallest part, in bytes, that S3 accepts before the last one.
const LEAST_PART: usize = 5 * 1024 * 1024;

/// The largest number of parts that S3 accepts for an object.
const MOST_PARTS: u64 = 10_000;

/// Streams an upload into an object store: S3 and compatible stores, GCS, Azure, a directory, or
/// memory.
///
/// The feature `object-store` alone supports directories and memory. For a cloud, the program
/// depends on [`object_store`] itself, in the version that is exported here, with the cloud's
/// feature:
///
/// ```toml
/// object_store = { version = "0.14", features = ["aws"] }
/// ```
///
/// ```
/// use std::sync::Arc;
///
/// use channel_runtime::upload::{
///     ObjectStore, UploadEntry,
///     object_store::{self, memory::InMemory, path::Path},
/// };
///
/// struct Gallery {
///     // `AmazonS3Builder::from_env().with_bucket_name("photos").build()?` in earnest.
///     store: Arc<dyn object_store::ObjectStore>,
/// }
///
/// impl Gallery {
///     fn photos(&self, entry: &UploadEntry) -> ObjectStore {
///         let location = Path::from(format!("photos/{}", entry.uuid()));
///         ObjectStore::new(self.store.clone(), location)
///     }
/// }
/// ```
///
/// # What is left behind
///
/// The object appears in one piece when the last chunk is answered, or not at all. An object at the
/// same location is replaced, so name objects by the entry's uuid. The handler gets a
/// [`StoredObject`]; from then on the object belongs to the program, which deletes it if it does
/// not want it. Until then it belongs to the writer: an upload that ends early is aborted, and a
/// finished one that no handler took is deleted. If the writer is dropped without being closed, a
/// task on its runtime does both.
///
/// `kill -9` leaves parts that are not listed but cost money. Only a lifecycle rule of the bucket
/// removes them (`AbortIncompleteMultipartUpload`), so set one.
///
/// # Requests
///
/// A file of at most one part, 5 MiB, takes one request, at the end. A larger one is a multipart
/// upload of equal parts: of 5 MiB, or larger if the size that the client claims would not fit into
/// 10,000 parts. Two parts are in flight at a time while the next one is filled. Retries are those
/// of the store (`RetryConfig`).
///
/// # Limits
///
/// Each upload buffers one part and those in flight: 15 MiB at most, or the file's size if that is
/// less, for files up to 48 GiB. Memory that the allocator retains comes on top; glibc may retain
/// as much again.
///
/// A chunk waits while both parts are in flight, and the last one until the whole object is stored;
/// if that takes longer than `chunk_timeout`, the client gives up. So the store must take a part
/// within that time, including its retries: set `RetryConfig::retry_timeout` below it.
pub struct ObjectStore {
    store: Arc<dyn object_store::ObjectStore>,
    location: Path,
    attributes: Attributes,
    part_size: usize,
    parts_in_flight: usize,
    /// The number of bytes still to come, which bounds what is reserved.
    missing: u64,
    size: u64,
    part: Vec<u8>,
    multipart: Option<Multipart>,
    stored: Option<Stored>,
}

/// An object that holds a finished upload. A handler gets it from an [`ObjectStore`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredObject {
    /// The location of the object.
    pub location: Path,
    /// The size in bytes.
    pub size: u64,
    /// The store's identifier of the content.
    pub e_tag: Option<String>,
    /// The version, if the store keeps several.
    pub version: Option<String>,
}

impl ObjectStore {
    /// Creates a writer of the object at `location`.
    pub fn new(store: Arc<dyn object_store::ObjectStore>, location: Path) -> Self {
        ObjectStore {
            store,
            location,
            attributes: Attributes::new(),
            part_size: LEAST_PART,
            parts_in_flight: 2,
            missing: 0,
            size: 0,
            part: Vec::new(),
            multipart: None,
            stored: None,
        }
    }

    /// Sets the object's attributes, such as its content type. Not every store supports them: a
    /// directory refuses the upload. Default: none.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the size of a part in bytes; a file that needs larger ones gets them. Default: 5 MiB,
    /// which is also the least that S3 accepts.
    ///
    /// # Panics
    ///
    /// Panics if it is 0.
    #[must_use]
    pub fn part_size(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a part has at least a byte");
        self.part_size = bytes;
        self
    }

    /// Sets the number of parts in flight at a time, at least 1. Default: 2.
    #[must_use]
    pub fn parts_in_flight(mut self, parts: usize) -> Self {
        self.parts_in_flight = parts.max(1);
        self
    }

    /// Sends the full part as soon as there is a place for it.
    async fn send_part(&mut self) -> Result<(), WriterError> {
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            None => {
                let (store, location) = (self.store.clone(), self.location.clone());
                let begun = Multipart::begin(store, location, self.attributes.clone()).await?;
                self.multipart.insert(begun)
            }
        };
        multipart.wait_for_place(self.parts_in_flight).await?;
        multipart.send(std::mem::take(&mut self.part));
        Ok(())
    }

    /// Stores the rest, which completes the object.
    async fn finish(&mut self) -> Result<Stored, WriterError> {
        let rest = std::mem::take(&mut self.part);
        let multipart = self.multipart.take();
        let (store, location) = (self.store.clone(), self.location.clone());
        let (attributes, size) = (self.attributes.clone(), self.size);
        let parts_in_flight = self.parts_in_flight;
        // In a task, since a dropped request may have stored the object or not. If the caller no
        // longer waits, the result is dropped, which deletes the object.
        let finish = spawn(async move {
            let put = match multipart {
                Some(multipart) => multipart.complete(rest, parts_in_flight).await?,
                None => {
                    let options = PutOptions::from(attributes);
                    store
                        .put_opts(&location, rest.into(), options)
                        .await
                        .map_err(failed)?
                }
            };
            let object = StoredObject {
                location,
                size,
                e_tag: put.e_tag,
                version: put.version,
            };
            Ok(Stored::new(store, object))
        });
        finish.await?
    }
}

impl UploadWriter for ObjectStore {
    type Meta = StoredObject;

    /// Does not contact the store yet.
    async fn init(&mut self, entry: &UploadEntry) -> Result<(), WriterError> {
        self.missing = entry.client_size();
        let least = self.missing.div_ceil(MOST_PARTS);
        self.part_size = self.part_size.max(usize::try_from(least)?);
        Ok(())
    }

    async fn write_chunk(&mut self, mut chunk: Bytes) -> Result<(), WriterError> {
        if let Some(multipart) = &mut self.multipart {
            multipart.check()?;
        }
        while !chunk.is_empty() {
            // Not as soon as it is full: the last part must not be empty, and a single part needs
            // no multipart upload.
            if self.part.len() == self.part_size {
                self.send_part().await?;
            }
            if self.part.is_empty() {
                let missing = usize::try_from(self.missing).unwrap_or(usize::MAX);
                self.part
                    .reserve_exact(self.part_size.min(missing.max(chunk.len())));
            }
            // Copied, since a client that sends its file byte by byte must not make us keep a
            // buffer for each byte.
            let next = chunk.split_to(chunk.len().min(self.part_size - self.part.len()));
            self.part.extend_from_slice(&next);
            self.size += next.len() as u64;
            self.missing = self.missing.saturating_sub(next.len() as u64);
        }
        Ok(())
    }

    async fn close(&mut self, reason: CloseReason<'_>) -> Result<(), WriterError> {
        match reason {
            CloseReason::Done => self.stored = Some(self.finish().await?),
            CloseReason::Cancel | CloseReason::Error(_) => {
                self.part = Vec::new();
                if let Some(multipart) = self.multipart.take() {
                    multipart.abort().await?;
                }
            }
        }
        Ok(())
    }

    /// # Panics
    ///
    /// Panics before `close(Done)`.
    fn meta(&self) -> StoredObject {
        match &self.stored {
            Some(stored) => stored.take(),
            None => panic!("an upload that is not done has no object"),
        }
    }
}

impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStore")
            .field("store", &self.store)
            .field("location", &self.location)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Finds a full disk at any depth of the store's error.
fn failed(error: object_store::Error) -> WriterError {
    let mut source: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return WriterError::new(io::Error::new(io.kind(), error));
        }
        source = cause.source();
    }
    WriterError::new(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_however_deep_a_store_hides_it() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let hidden = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(object_store::Error::NotSupported {
                source: full.into(),
            }),
        };
        assert_eq!(failed(hidden).reason(), "no_space");
        assert_eq!(
            failed(object_store::Error::NotImplemented {
                operation: "put".to_owned(),
                implementer: "Test".to_owned(),
            })
            .reason(),
            "writer_failure"
        );
    }
}
