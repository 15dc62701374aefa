//! Decides when queued frames are written: not one by one as they come, but when the task that
//! sends them pauses, so that a burst for one client becomes one write.
//!
//! A task that sends runs [`corked`]: the outboxes that get frames meanwhile are remembered and
//! flushed when its turn is over, a few at once in place, many by the endpoint's [`FlushWorkers`].
//! Those of other connections wait less: they are flushed when their batch is over.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::sync::Notify;

use super::Outbox;

/// The number of outboxes that are flushed in place.
const IN_PLACE: usize = 8;

/// The number of outboxes that a worker flushes before it yields to other tasks. Yielding costs
/// more than it seems: a worker that finds nothing else to do wakes another one to look too.
const TURN: usize = 128;

/// The number of outboxes that are fetched from memory together, which takes hardly longer than
/// one.
const FETCH: usize = 8;

/// The outboxes that one thread is about to flush.
struct Cork {
    /// True if a task runs corked.
    on: bool,
    /// The outbox of the connection that the task belongs to: only compared, never read.
    own: *const Outbox,
    dirty: Vec<Arc<Outbox>>,
}

impl Cork {
    /// Takes all but the task's own outbox.
    fn take_others(&mut self) -> Vec<Arc<Outbox>> {
        let own = |outbox: &Arc<Outbox>| Arc::as_ptr(outbox) == self.own;
        let kept = self.dirty.iter().position(own);
        if kept.is_some() && self.dirty.len() == 1 {
            return Vec::new();
        }
        let kept = kept.map(|at| self.dirty.swap_remove(at));
        let others = std::mem::take(&mut self.dirty);
        self.dirty.extend(kept);
        others
    }
}

thread_local! {
    static CORK: RefCell<Cork> = const {
        RefCell::new(Cork { on: false, own: std::ptr::null(), dirty: Vec::new() })
    };
}

/// Runs `work` for a connection, and flushes the outboxes it has filled afterwards, even if it
/// panics.
pub(crate) fn corked<T>(own: &Arc<Outbox>, work: impl FnOnce() -> T) -> T {
    run_corked(Arc::as_ptr(own), work)
}

/// Runs `work`, which sends to many, and flushes the outboxes it has filled afterwards, even if it
/// panics. Within a task that runs corked, that connection's own outbox waits for the task's end.
pub(crate) fn batched<T>(work: impl FnOnce() -> T) -> T {
    /// Flushes when dropped.
    struct Over;

    impl Drop for Over {
        fn drop(&mut self) {
            flush_all(CORK.with_borrow_mut(Cork::take_others));
        }
    }

    if !CORK.with_borrow(|cork| cork.on) {
        return run_corked(std::ptr::null(), work);
    }
    let _over = Over;
    work()
}

/// Does the same as [`batched`], for callers that know nothing of connections.
pub(crate) fn batch(work: &mut dyn FnMut()) {
    batched(work);
}

fn run_corked<T>(own: *const Outbox, work: impl FnOnce() -> T) -> T {
    /// Flushes when dropped.
    struct Uncork;

    impl Drop for Uncork {
        fn drop(&mut self) {
            let dirty = CORK.with_borrow_mut(|cork| {
                cork.on = false;
                cork.own = std::ptr::null();
                std::mem::take(&mut cork.dirty)
            });
            flush_all(dirty);
        }
    }

    let outermost = CORK.with_borrow_mut(|cork| {
        let outermost = !std::mem::replace(&mut cork.on, true);
        if outermost {
            cork.own = own;
        }
        outermost
    });
    // Made only by the outermost call, since dropping one removes the cork.
    let _uncork = outermost.then(|| Uncork);
    work()
}

/// Flushes an outbox: when the corked task pauses, or now if there is no such task.
pub(super) fn flush_soon(outbox: &Arc<Outbox>) {
    let later = CORK.with_borrow_mut(|cork| {
        if cork.on {
            cork.dirty.push(outbox.clone());
        }
        cork.on
    });
    if !later {
        outbox.flush();
    }
}

fn flush_all(mut dirty: Vec<Arc<Outbox>>) {
    if dirty.len() > IN_PLACE {
        while let Some(worker) = dirty.last().and_then(|outbox| outbox.worker().cloned()) {
            let others = |outbox: &mut Arc<Outbox>| {
                outbox
                    .worker()
                    .is_some_and(|known| Arc::ptr_eq(known, &worker))
            };
            worker.fill(dirty.extract_if(.., others));
        }
    }
    dirty.drain(..).for_each(|outbox| outbox.flush());
    // Keeps the memory for the next burst of this thread.
    if dirty.capacity() <= 4096 {
        CORK.with_borrow_mut(|cork| {
            if cork.dirty.capacity() == 0 {
                cork.dirty = dirty;
            }
        });
    }
}

/// A task that flushes outboxes: the connections of an endpoint share a few.
#[derive(Debug, Default)]
pub(crate) struct FlushWorker {
    dirty: Mutex<Vec<Arc<Outbox>>>,
    filled: Notify,
}

impl FlushWorker {
    fn fill(&self, outboxes: impl Iterator<Item = Arc<Outbox>>) {
        let mut dirty = self.dirty.lock();
        let idle = dirty.is_empty();
        dirty.extend(outboxes);
        drop(dirty);
        if idle {
            self.filled.notify_one();
        }
    }

    async fn run(self: Arc<Self>) {
        let mut batch: Vec<Arc<Outbox>> = Vec::new();
        loop {
            self.filled.notified().await;
            std::mem::swap(&mut batch, &mut *self.dirty.lock());
            let mut left = batch.drain(..);
            for at in 0.. {
                if at % FETCH == 0 {
                    let next = left.as_slice().iter().take(FETCH);
                    next.for_each(|outbox| outbox.fetch());
                }
                let Some(outbox) = left.next() else {
                    break;
                };
                outbox.flush();
                if at % TURN == TURN - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// The workers of an endpoint: one for every two threads of its runtime, so that writing never
/// takes all of them. They end with the endpoint.
#[derive(Debug)]
pub(crate) struct FlushWorkers {
    workers: Vec<Arc<FlushWorker>>,
    tasks: Vec<tokio::task::AbortHandle>,
}

impl FlushWorkers {
    /// Starts the workers on the current runtime.
    pub(crate) fn start() -> Self {
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        let workers: Vec<Arc<FlushWorker>> =
            (0..threads.div_ceil(2)).map(|_| Arc::default()).collect();
        let tasks = workers
            .iter()
            .map(|worker| tokio::spawn(worker.clone().run()).abort_handle());
        let tasks = tasks.collect();
        FlushWorkers { workers, tasks }
    }

    /// Returns the worker of a connection.
    pub(crate) fn worker(&self, connection: u64) -> Arc<FlushWorker> {
        let at = connection as usize % self.workers.len();
        self.workers[at].clone()
    }
}

impl Drop for FlushWorkers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

pin_project! {
    /// A future of a connection whose every poll is corked.
    pub(crate) struct Corked<F> {
        outbox: Weak<Outbox>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Corked<F> {
    /// Wraps a future of the connection with this outbox.
    pub(crate) fn new(outbox: &Arc<Outbox>, future: F) -> Self {
        let outbox = Arc::downgrade(outbox);
        Corked { outbox, future }
    }
}

impl<F: Future> Future for Corked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        run_corked(this.outbox.as_ptr(), || this.future.poll(cx))
    }
}
