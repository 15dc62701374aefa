//! Where the channel of an upload finds the channel it is for, and broken uploads are kept.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time;
use uuid::Uuid;

use super::{CloseReason, UploadEntry, owner::Owner, writer::AnyWriter};
use crate::{Endpoint, Topic};

/// How many broken uploads are kept for clients that may come back; those beyond are cancelled.
const MOST_DETACHED: usize = 1024;

/// The uploads of an endpoint.
#[derive(Default)]
pub(crate) struct Registry {
    owners: Mutex<HashMap<Uuid, Weak<Owner>>>,
    detached: Mutex<HashMap<Uuid, Detached>>,
}

/// An upload whose client has lost its connection.
pub(super) struct Detached {
    topic: Topic,
    entry: UploadEntry,
    pub(super) writer: Box<dyn AnyWriter>,
    pub(super) received: u64,
}

impl Detached {
    pub(super) fn new(
        topic: Topic,
        entry: &UploadEntry,
        writer: Box<dyn AnyWriter>,
        received: u64,
    ) -> Self {
        let entry = entry.clone();
        Detached {
            topic,
            entry,
            writer,
            received,
        }
    }

    fn is_complete(&self) -> bool {
        self.received == self.entry.client_size()
    }

    /// Whether it is the same file for the same upload, as far as a client can say.
    fn is_for(&self, topic: &Topic, entry: &UploadEntry) -> bool {
        self.topic == *topic
            && self.entry.upload() == entry.upload()
            && self.entry.client_size() == entry.client_size()
            && self.entry.client_name() == entry.client_name()
            && self.entry.client_last_modified() == entry.client_last_modified()
    }

    async fn cancel(mut self) {
        if !self.is_complete()
            && let Err(error) = self.writer.close(CloseReason::Cancel).await
        {
            tracing::warn!(%error, "a writer could not give up an upload that nobody came back for");
        }
    }
}

impl Registry {
    pub(super) fn add(&self, id: Uuid, owner: &Arc<Owner>) {
        self.owners.lock().insert(id, Arc::downgrade(owner));
    }

    pub(super) fn remove(&self, id: Uuid) {
        let mut owners = self.owners.lock();
        owners.remove(&id);
        if owners.is_empty() {
            owners.shrink_to_fit();
        }
    }

    pub(super) fn owner(&self, id: Uuid) -> Option<Arc<Owner>> {
        self.owners.lock().get(&id)?.upgrade()
    }

    /// Takes a broken upload for the entry that goes on with it.
    pub(super) fn adopt(
        &self,
        broken: Uuid,
        topic: &Topic,
        entry: &UploadEntry,
    ) -> Option<Detached> {
        let mut detached = self.detached.lock();
        detached
            .get(&broken)
            .filter(|upload| upload.is_for(topic, entry))?;
        detached.remove(&broken)
    }
}

/// Keeps a broken upload for a while, and cancels it then.
pub(super) async fn detach(endpoint: &Endpoint, id: Uuid, upload: Detached, time: Duration) {
    let registry = endpoint.uploads();
    let refused = {
        let mut detached = registry.detached.lock();
        match detached.len() < MOST_DETACHED && !endpoint.is_draining() {
            true => {
                detached.insert(id, upload);
                None
            }
            false => Some(upload),
        }
    };
    if let Some(upload) = refused {
        return upload.cancel().await;
    }
    let (draining, endpoint) = (endpoint.draining(), endpoint.clone());
    endpoint.clone().tasks().spawn(async move {
        tokio::select! {
            () = time::sleep(time) => {}
            () = draining => {}
        }
        let upload = endpoint.uploads().detached.lock().remove(&id);
        if let Some(upload) = upload {
            upload.cancel().await;
        }
    });
}
