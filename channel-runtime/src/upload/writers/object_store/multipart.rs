//! A multipart upload that is always completed or aborted.

use std::{sync::Arc, time::Duration};

use object_store::{
    Attributes, MultipartUpload, ObjectStore, PutMultipartOptions, PutResult, path::Path,
};
use tokio::{
    runtime::Handle,
    task::{JoinHandle, JoinSet, spawn},
    time::timeout,
};

use super::failed;
use crate::telemetry::shown;
use crate::upload::WriterError;

/// The time that an abort waits for the parts in flight: a part that the store is just receiving
/// may outlive the abort and then stay for ever. It equals the default timeout of a request to a
/// store.
const SETTLE: Duration = Duration::from_secs(30);

/// Dropping it aborts the upload in a task.
#[derive(Debug)]
pub(super) struct Multipart {
    /// `None` once there is nothing to abort.
    open: Option<Open>,
    runtime: Handle,
}

#[derive(Debug)]
struct Open {
    location: Path,
    upload: Box<dyn MultipartUpload>,
    parts: JoinSet<object_store::Result<()>>,
}

impl Multipart {
    /// Begins the upload in a task, since a dropped request may have begun one or not. If the
    /// caller no longer waits, the result is dropped, which aborts the upload.
    pub(super) async fn begin(
        store: Arc<dyn ObjectStore>,
        location: Path,
        attributes: Attributes,
    ) -> Result<Self, WriterError> {
        let begin = spawn(async move {
            let options = PutMultipartOptions::from(attributes);
            let upload = store.put_multipart_opts(&location, options).await?;
            let open = Open {
                location,
                upload,
                parts: JoinSet::new(),
            };
            Ok(Multipart {
                open: Some(open),
                runtime: Handle::current(),
            })
        });
        begin.await?.map_err(failed)
    }

    /// Returns an error if a part has failed so far.
    pub(super) fn check(&mut self) -> Result<(), WriterError> {
        let parts = self.open.as_mut().map(|open| &mut open.parts);
        for ended in parts
            .into_iter()
            .flat_map(|parts| std::iter::from_fn(|| parts.try_join_next()))
        {
            ended?.map_err(failed)?;
        }
        Ok(())
    }

    /// Waits until fewer parts than this are in flight.
    pub(super) async fn wait_for_place(
        &mut self,
        parts_in_flight: usize,
    ) -> Result<(), WriterError> {
        if let Some(open) = &mut self.open {
            open.wait_for(parts_in_flight - 1).await?;
        }
        Ok(())
    }

    pub(super) fn send(&mut self, part: Vec<u8>) {
        if let Some(open) = &mut self.open {
            open.parts.spawn(open.upload.put_part(part.into()));
        }
    }

    /// Sends the last part as soon as there is a place for it, and completes the object.
    pub(super) async fn complete(
        mut self,
        last: Vec<u8>,
        parts_in_flight: usize,
    ) -> Result<PutResult, WriterError> {
        let has_place = self.wait_for_place(parts_in_flight).await;
        if has_place.is_ok() {
            self.send(last);
        }
        let completed = match (has_place, &mut self.open) {
            (Ok(()), Some(open)) => open.complete().await,
            (Err(error), _) => Err(error),
            (_, None) => Err(WriterError::new("the multipart upload is over")),
        };
        match completed {
            Ok(put) => {
                self.open = None;
                Ok(put)
            }
            Err(error) => {
                // The abort logs its own failure.
                let _ = self.abort().await;
                Err(error)
            }
        }
    }

    pub(super) async fn abort(mut self) -> Result<(), WriterError> {
        match self.begin_abort() {
            Some(abort) => abort.await?.map_err(failed),
            None => Ok(()),
        }
    }

    /// Starts the abort in a task, so that it runs even if the caller does not wait for it.
    fn begin_abort(&mut self) -> Option<JoinHandle<object_store::Result<()>>> {
        let open = self.open.take()?;
        Some(self.runtime.spawn(open.abort()))
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        self.begin_abort();
    }
}

impl Open {
    /// Waits until at most this many parts are in flight.
    async fn wait_for(&mut self, parts: usize) -> Result<(), WriterError> {
        while self.parts.len() > parts {
            if let Some(ended) = self.parts.join_next().await {
                ended?.map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn complete(&mut self) -> Result<PutResult, WriterError> {
        self.wait_for(0).await?;
        self.upload.complete().await.map_err(failed)
    }

    async fn abort(mut self) -> object_store::Result<()> {
        let settled = async { while self.parts.join_next().await.is_some() {} };
        let _ = timeout(SETTLE, settled).await;
        self.parts.shutdown().await;
        let aborted = self.upload.abort().await;
        if let Err(error) = &aborted {
            let location = &self.location;
            tracing::warn!(error = %shown(&error), location = %shown(&location), "parts of an upload are left in the object store");
        }
        aborted
    }
}
