//! The frames that wait in all outboxes of an endpoint, and the choice of the client to evict.

#[cfg(test)]
mod properties;

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Outbox;
use crate::protocol::Charge;

/// The number of bytes waiting for one connection that are not counted.
pub(super) const FREE: usize = 16 * 1024;

/// The step, in bytes, in which a connection reports what waits, so that a single frame costs
/// nothing.
pub(super) const STEP: usize = 16 * 1024;

/// The bytes that all connections of an endpoint may have waiting. A connection that keeps up is
/// never counted here.
#[derive(Debug)]
pub(crate) struct Account {
    used: Arc<AtomicUsize>,
    limit: usize,
    next: AtomicU64,
    /// The number of connections that were too slow.
    evicted: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

/// A connection with many waiting bytes.
#[derive(Debug)]
struct Waiting {
    outbox: Weak<Outbox>,
    /// The bytes of all that waits for it.
    bytes: usize,
    /// The part of them that waits for it alone.
    charge: usize,
    since: Instant,
}

impl Account {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Account {
            used: Arc::default(),
            limit,
            next: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            waiting: Mutex::default(),
        })
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Records that more waits for a connection than it has reported.
    pub(super) fn raise(&self, id: u64, outbox: &Arc<Outbox>, bytes: usize, charge: usize) {
        let mut waiting = self.waiting.lock();
        let known = waiting.entry(id).or_insert_with(|| Waiting {
            outbox: Arc::downgrade(outbox),
            bytes: 0,
            charge: 0,
            since: Instant::now(),
        });
        self.replace(known, bytes, charge);
    }

    /// Records that less waits for a connection. One that was removed already stays removed.
    pub(super) fn lower(&self, id: u64, bytes: usize, charge: usize) {
        let mut waiting = self.waiting.lock();
        if bytes == 0 {
            if let Some(gone) = waiting.remove(&id) {
                self.give_back(gone.charge);
            }
        } else if let Some(known) = waiting.get_mut(&id) {
            self.replace(known, bytes, charge);
        }
    }

    fn replace(&self, known: &mut Waiting, bytes: usize, charge: usize) {
        self.take(charge);
        self.give_back(std::mem::replace(&mut known.charge, charge));
        known.bytes = bytes;
    }

    pub(super) fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Counts bytes that many connections share, until the charge is dropped.
    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        Charge::new(&self.used, bytes)
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.used.load(Ordering::Acquire) > self.limit
    }

    /// Ends the slowest connections until the others fit. The caller holds no outbox's lock.
    #[cold]
    pub(super) fn relieve(&self) {
        while let Some((bytes, slowest)) = self.take_slowest() {
            if let Some(outbox) = slowest.upgrade() {
                let evicted = self.evicted.fetch_add(1, Ordering::Relaxed) + 1;
                outbox.evict(bytes, self.limit, evicted);
            }
        }
    }

    /// Removes and returns the connection with the most bytes while the limit is exceeded; of
    /// several, the one that has waited for longest.
    fn take_slowest(&self) -> Option<(usize, Weak<Outbox>)> {
        let mut waiting = self.waiting.lock();
        if !self.is_spent() {
            return None;
        }
        let slowest = waiting
            .iter()
            .max_by_key(|(_, one)| (one.bytes, Reverse(one.since)));
        let slowest = slowest.map(|(id, _)| *id)?;
        let gone = waiting.remove(&slowest)?;
        self.give_back(gone.charge);
        Some((gone.bytes, gone.outbox))
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}
