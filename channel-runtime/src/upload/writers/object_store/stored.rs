//! A stored object that no handler has taken yet.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use super::StoredObject;
use crate::telemetry::shown;

/// Dropping it before it was taken deletes the object in a task.
#[derive(Debug)]
pub(super) struct Stored {
    store: Arc<dyn ObjectStore>,
    object: StoredObject,
    taken: AtomicBool,
    runtime: Handle,
}

impl Stored {
    pub(super) fn new(store: Arc<dyn ObjectStore>, object: StoredObject) -> Self {
        Stored {
            store,
            object,
            taken: AtomicBool::new(false),
            runtime: Handle::current(),
        }
    }

    pub(super) fn take(&self) -> StoredObject {
        self.taken.store(true, Relaxed);
        self.object.clone()
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if *self.taken.get_mut() {
            return;
        }
        let (store, location) = (self.store.clone(), self.object.location.clone());
        self.runtime.spawn(async move {
            if let Err(error) = store.delete(&location).await {
                tracing::warn!(error = %shown(&error), location = %shown(&location), "an object that nobody took is not deleted");
            }
        });
    }
}
