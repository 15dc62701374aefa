//! Limits the bytes of client messages that wait for channels: per connection and in total.

#[cfg(test)]
mod properties;

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use futures_util::{future::BoxFuture, task::AtomicWaker};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until},
};

/// The bytes that a message counts for besides its own: its place in a mailbox and its parts.
const OVERHEAD: usize = 256;

/// The bytes that each connection may use outside the endpoint's budget, so that clients which have
/// spent that budget hold up only connections with much waiting themselves.
const OWN: usize = 16 * 1024;

/// The bytes that may wait for all channels of an endpoint together, without the part that each
/// connection has of its own. First come, first served.
#[derive(Debug)]
pub(crate) struct TotalBudget {
    free: Arc<Semaphore>,
    limit: u32,
}

impl TotalBudget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Arc::new(TotalBudget {
            free: Arc::new(Semaphore::new(limit as usize)),
            limit,
        })
    }

    /// Returns the charge of a message. One larger than the whole budget takes all of it.
    fn charge(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.limit)
    }
}

/// The bytes of one client's messages that wait for its channels, all together. They lie in the
/// mailboxes of its channels, and nothing else bounds them there.
///
/// Only the connection's own task asks for room, so a message that fits keeps fitting until it is
/// taken.
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
    /// The usage at or below which a connection that waits for room is woken.
    enough: AtomicUsize,
    connection: AtomicWaker,
    total: Arc<TotalBudget>,
}

/// The budget that has no room for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    Own,
    Total,
}

/// A message that was admitted, to be taken once.
#[derive(Debug)]
pub(crate) struct Admitted {
    bytes: usize,
    /// Its share of the endpoint's budget.
    total: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(crate) fn new(limit: usize, total: Arc<TotalBudget>) -> Arc<Self> {
        Arc::new(Budget {
            used: AtomicUsize::new(0),
            limit,
            enough: AtomicUsize::new(usize::MAX),
            connection: AtomicWaker::new(),
            total,
        })
    }

    /// Admits a message whose frame has this many bytes if it fits. One larger than the whole
    /// budget still fits an empty one.
    pub(crate) fn admit(&self, frame: usize) -> Result<Admitted, Spent> {
        self.admit_with(frame, &mut None)
    }

    fn admit_with(
        &self,
        frame: usize,
        reserved: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Admitted, Spent> {
        let bytes = frame.saturating_add(OVERHEAD);
        let used = self.used.load(SeqCst);
        let after = used.saturating_add(bytes);
        if used != 0 && after > self.limit {
            return Err(Spent::Own);
        }
        let total = match reserved.take() {
            _ if after <= OWN => None,
            Some(reserved) => Some(reserved),
            None => {
                let free = self.total.free.clone();
                let taken = free.try_acquire_many_owned(self.total.charge(bytes));
                Some(taken.map_err(|_| Spent::Total)?)
            }
        };
        Ok(Admitted { bytes, total })
    }

    /// Returns the reservation of a message that was admitted.
    pub(crate) fn claim(self: &Arc<Self>, admitted: Admitted) -> Reservation<'_> {
        Reservation {
            budget: self,
            admitted,
        }
    }

    /// Returns a wait for room until `until`.
    pub(crate) fn wait(&self, frame: usize, spent: Spent, until: Instant) -> Wait {
        Wait {
            frame,
            spent,
            patience: Box::pin(sleep_until(until)),
            is_over: false,
            line: None,
            reserved: None,
        }
    }

    /// Returns the usage at or below which there is room again, if there is one.
    fn enough(&self, frame: usize, spent: Spent) -> Option<usize> {
        let bytes = frame.saturating_add(OVERHEAD);
        match spent {
            // Leaves room for many messages, so that the connection is not woken for each one that
            // is done.
            Spent::Own => Some(self.limit.saturating_sub(bytes).min(self.limit / 4 * 3)),
            Spent::Total => OWN.checked_sub(bytes),
        }
    }

    fn give_back(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, SeqCst);
        let enough = self.enough.load(SeqCst);
        if before > enough && before - bytes <= enough {
            self.connection.wake();
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("used", &self.used)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// A message that waits for room. Nothing behind it is read meanwhile.
pub(crate) struct Wait {
    frame: usize,
    spent: Spent,
    patience: Pin<Box<Sleep>>,
    is_over: bool,
    /// Its place in the queue for the endpoint's budget.
    line: Option<BoxFuture<'static, Option<OwnedSemaphorePermit>>>,
    reserved: Option<OwnedSemaphorePermit>,
}

impl Wait {
    /// Returns true if its time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Does the same as [`Budget::admit`], and uses the permit that it has waited for.
    pub(crate) fn admit(&mut self, budget: &Budget, frame: usize) -> Result<Admitted, Spent> {
        if frame != self.frame {
            (self.line, self.reserved) = (None, None);
        }
        let admitted = budget.admit_with(frame, &mut self.reserved);
        if let Err(spent) = admitted {
            (self.frame, self.spent) = (frame, spent);
        }
        admitted
    }

    /// Becomes ready when there may be room, or the time is over.
    pub(crate) fn poll(&mut self, budget: &Budget, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over || self.reserved.is_some() {
            return Poll::Ready(());
        }
        if let Some(enough) = budget.enough(self.frame, self.spent) {
            // A release reads `enough` after its change of `used`, and this reads `used` after its
            // change of `enough`: one of them sees the other.
            budget.enough.store(enough, SeqCst);
            budget.connection.register(cx.waker());
            if budget.used.load(SeqCst) <= enough {
                return self.ready(budget);
            }
        }
        if self.spent == Spent::Total {
            let total = &budget.total;
            let charge = total.charge(self.frame.saturating_add(OVERHEAD));
            let line = self.line.get_or_insert_with(|| {
                let free = total.free.clone();
                // The semaphore is never closed.
                Box::pin(async move { free.acquire_many_owned(charge).await.ok() })
            });
            if let Poll::Ready(permit) = line.as_mut().poll(cx) {
                self.reserved = permit;
                return self.ready(budget);
            }
        }
        if self.patience.as_mut().poll(cx).is_ready() {
            self.is_over = true;
            return self.ready(budget);
        }
        Poll::Pending
    }

    fn ready(&mut self, budget: &Budget) -> Poll<()> {
        self.line = None;
        budget.enough.store(usize::MAX, SeqCst);
        Poll::Ready(())
    }
}

/// A reservation in a [`Budget`]. A message that is handled at once never takes it.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    budget: &'a Arc<Budget>,
    admitted: Admitted,
}

impl Reservation<'_> {
    /// Takes it, until the returned permit is dropped.
    pub(crate) fn take(self) -> BudgetPermit {
        let Admitted { bytes, total } = self.admitted;
        self.budget.used.fetch_add(bytes, SeqCst);
        BudgetPermit {
            budget: self.budget.clone(),
            bytes,
            _total: total,
        }
    }
}

/// A part of a [`Budget`], given back on drop.
#[derive(Debug)]
pub(crate) struct BudgetPermit {
    budget: Arc<Budget>,
    bytes: usize,
    _total: Option<OwnedSemaphorePermit>,
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}
