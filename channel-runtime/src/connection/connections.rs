//! The open connections of a node.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{Account, ConnectError, HalfReceived, Outbox};
use crate::telemetry;

/// The open connections of a node, with their limit.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    open: Mutex<HashMap<u64, Weak<Outbox>>>,
    next_id: AtomicU64,
    max: Option<usize>,
    /// The account of frames that wait for slow clients.
    outboxes: Arc<Account>,
    /// The account of messages that clients have sent in part.
    #[cfg_attr(
        not(any(feature = "websocket", feature = "long-poll")),
        expect(dead_code, reason = "transports count there")
    )]
    half_received: Arc<HalfReceived>,
    /// The tasks that flush outboxes, from the first connection that needs them.
    #[cfg(feature = "websocket")]
    workers: std::sync::OnceLock<super::FlushWorkers>,
}

impl Connections {
    pub(crate) fn new(max: Option<usize>, outbox_bytes: usize, receive_bytes: usize) -> Self {
        Connections(Arc::new(Inner {
            open: Mutex::default(),
            next_id: AtomicU64::new(0),
            max,
            outboxes: Account::new(outbox_bytes),
            half_received: HalfReceived::new(receive_bytes),
            #[cfg(feature = "websocket")]
            workers: std::sync::OnceLock::new(),
        }))
    }

    /// Returns the account of frames that wait for slow clients, over all connections.
    pub(crate) fn outboxes(&self) -> &Arc<Account> {
        &self.0.outboxes
    }

    /// Returns the account of messages that clients have sent in part, over all connections.
    #[cfg(feature = "long-poll")]
    pub(crate) fn half_received(&self) -> &Arc<HalfReceived> {
        &self.0.half_received
    }

    pub(crate) fn len(&self) -> usize {
        self.0.open.lock().len()
    }

    /// Checks that another connection may be opened.
    pub(crate) fn check_room(&self) -> Result<(), ConnectError> {
        self.has_room(self.len())
    }

    fn has_room(&self, open: usize) -> Result<(), ConnectError> {
        match self.0.max {
            Some(limit) if open >= limit => {
                telemetry::endpoint_full(limit);
                Err(ConnectError::Full)
            }
            _ => Ok(()),
        }
    }

    /// Registers a connection in one of the places.
    pub(crate) fn register(&self, outbox: &Arc<Outbox>) -> Result<Registered, ConnectError> {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let mut open = self.0.open.lock();
        self.has_room(open.len())?;
        open.insert(id, Arc::downgrade(outbox));
        drop(open);
        telemetry::opened();
        Ok(Registered {
            connections: self.clone(),
            id,
        })
    }

    /// Returns the outboxes of all connections, the newest last.
    pub(crate) fn newest_last(&self) -> Vec<Weak<Outbox>> {
        let open = self.0.open.lock();
        let mut open: Vec<_> = open
            .iter()
            .map(|(id, outbox)| (*id, outbox.clone()))
            .collect();
        open.sort_unstable_by_key(|(id, _)| *id);
        open.into_iter().map(|(_, outbox)| outbox).collect()
    }
}

/// A connection's place among the open ones.
pub(crate) struct Registered {
    connections: Connections,
    id: u64,
}

#[cfg(feature = "websocket")]
impl Registered {
    pub(crate) fn half_received(&self) -> &Arc<HalfReceived> {
        &self.connections.0.half_received
    }

    /// Returns the worker that flushes the connection's outbox.
    pub(crate) fn worker(&self) -> Arc<super::FlushWorker> {
        self.connections
            .0
            .workers
            .get_or_init(super::FlushWorkers::start)
            .worker(self.id)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.connections.0.open.lock().remove(&self.id);
        telemetry::closed();
    }
}
