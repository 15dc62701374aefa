//! Limits the writers that are open at once, since a process has few file descriptors.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use super::options::UploadOptions;
use crate::{connection::Outbox, endpoint::Extensions, error::ConfigError};

/// The time that the join of an upload waits for a place: shorter than clients wait for a join.
const WAIT: Duration = Duration::from_secs(5);

/// The places of an endpoint's open uploads.
pub(super) struct OpenUploads {
    all: Arc<Semaphore>,
    /// The number of uploads that `all` has room for.
    total: usize,
    each: usize,
    /// The semaphore of each socket with uploads and their number, by the address of its outbox.
    sockets: Mutex<HashMap<usize, (Arc<Semaphore>, usize)>>,
}

/// The place of one open upload, freed on drop.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_socket: OwnedSemaphorePermit,
    _socket: SocketPlaces,
}

/// The places of one socket, held by an upload that has one or waits for one.
struct SocketPlaces {
    uploads: Arc<OpenUploads>,
    /// Keeps the address of the outbox from being reused.
    outbox: Weak<Outbox>,
    places: Arc<Semaphore>,
}

impl OpenUploads {
    pub(super) fn new(all: usize, each: usize) -> Self {
        OpenUploads {
            all: Arc::new(Semaphore::new(all)),
            total: all,
            each,
            sockets: Mutex::default(),
        }
    }

    /// Returns the number of uploads that may be open at once.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Waits for a place for an upload of this socket; `None` if there is none in time. First come,
    /// first served. An upload that waits for a place of its socket holds none of the others'
    /// places.
    pub(super) async fn place(self: Arc<Self>, outbox: &Arc<Outbox>) -> Option<Place> {
        let all = self.all.clone();
        let socket = self.of_socket(outbox);
        let place = async {
            let of_socket = socket.places.clone().acquire_owned().await.ok()?;
            let of_all = all.acquire_owned().await.ok()?;
            Some((of_all, of_socket))
        };
        let (of_all, of_socket) = time::timeout(WAIT, place).await.ok()??;
        Some(Place {
            _of_all: of_all,
            _of_socket: of_socket,
            _socket: socket,
        })
    }

    fn of_socket(self: Arc<Self>, outbox: &Arc<Outbox>) -> SocketPlaces {
        let outbox = Arc::downgrade(outbox);
        let mut sockets = self.sockets.lock();
        let (places, uploads) = sockets
            .entry(address(&outbox))
            .or_insert_with(|| (Arc::new(Semaphore::new(self.each)), 0));
        *uploads += 1;
        let places = places.clone();
        drop(sockets);
        SocketPlaces {
            uploads: self,
            outbox,
            places,
        }
    }
}

impl UploadOptions {
    /// Applies these limits to an endpoint.
    pub(crate) fn install(&self, extensions: &Extensions) -> Result<(), ConfigError> {
        self.check()?;
        let (all, each) = self.places();
        extensions.insert(OpenUploads::new(all, each));
        Ok(())
    }
}

impl Default for OpenUploads {
    fn default() -> Self {
        let (all, each) = UploadOptions::default().places();
        OpenUploads::new(all, each)
    }
}

impl Drop for SocketPlaces {
    fn drop(&mut self) {
        let mut sockets = self.uploads.sockets.lock();
        if let Entry::Occupied(mut socket) = sockets.entry(address(&self.outbox)) {
            socket.get_mut().1 -= 1;
            if socket.get().1 == 0 {
                socket.remove();
            }
        }
        if sockets.is_empty() {
            sockets.shrink_to_fit();
        }
    }
}

fn address(outbox: &Weak<Outbox>) -> usize {
    outbox.as_ptr().addr()
}
