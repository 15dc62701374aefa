//! When queued frames are written: not one by one as they come, but when the task that sends
//! them pauses, so that a burst for one client becomes one write.
//!
//! A task that sends runs [`corked`]: outboxes that get frames meanwhile are remembered, and
//! flushed when its turn is over, a few at once in place, many by the endpoint's [`Lanes`].

use std::{
    cell::RefCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::sync::Notify;

use super::Outbox;

/// How many outboxes are flushed in place.
const IN_PLACE: usize = 8;

/// How many outboxes a lane flushes before other tasks have their turn.
const TURN: usize = 32;

/// What one thread is about to flush.
struct Cork {
    /// Whether a task runs corked.
    on: bool,
    dirty: Vec<Arc<Outbox>>,
}

thread_local! {
    static CORK: RefCell<Cork> = const { RefCell::new(Cork { on: false, dirty: Vec::new() }) };
}

/// Runs `work`, and flushes the outboxes it has filled afterwards, also when it panics.
pub(crate) fn corked<T>(work: impl FnOnce() -> T) -> T {
    /// Flushes when dropped.
    struct Uncork;

    impl Drop for Uncork {
        fn drop(&mut self) {
            let dirty = CORK.with_borrow_mut(|cork| {
                cork.on = false;
                std::mem::take(&mut cork.dirty)
            });
            flush_all(dirty);
        }
    }

    let outermost = CORK.with_borrow_mut(|cork| !std::mem::replace(&mut cork.on, true));
    let _uncork = outermost.then_some(Uncork);
    work()
}

/// Flushes an outbox: when the corked task pauses, or now where none runs.
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
        while let Some(lane) = dirty.last().and_then(|outbox| outbox.lane().cloned()) {
            let others = |outbox: &mut Arc<Outbox>| {
                outbox.lane().is_some_and(|known| Arc::ptr_eq(known, &lane))
            };
            lane.fill(dirty.extract_if(.., others));
        }
    }
    dirty.drain(..).for_each(|outbox| outbox.flush());
    // The next burst of this thread finds room.
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
pub(crate) struct Lane {
    dirty: Mutex<Vec<Arc<Outbox>>>,
    filled: Notify,
}

impl Lane {
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
        let mut batch = Vec::new();
        loop {
            self.filled.notified().await;
            std::mem::swap(&mut batch, &mut *self.dirty.lock());
            for (at, outbox) in batch.drain(..).enumerate() {
                outbox.flush();
                if at % TURN == TURN - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// The lanes of an endpoint: one for every two threads of its runtime, since writing must not
/// take all of them. They end with the endpoint.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Arc<Lane>>,
    tasks: Vec<tokio::task::AbortHandle>,
}

impl Lanes {
    /// Starts the lanes on the runtime that this runs on.
    pub(crate) fn start() -> Self {
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        let lanes: Vec<Arc<Lane>> = (0..threads.div_ceil(2)).map(|_| Arc::default()).collect();
        let tasks = lanes
            .iter()
            .map(|lane| tokio::spawn(lane.clone().run()).abort_handle());
        let tasks = tasks.collect();
        Lanes { lanes, tasks }
    }

    /// The lane of a connection.
    pub(crate) fn lane(&self, connection: u64) -> Arc<Lane> {
        let at = connection as usize % self.lanes.len();
        self.lanes[at].clone()
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

pin_project! {
    /// A future whose every turn is corked.
    pub(crate) struct Corked<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Corked<F> {
    pub(crate) fn new(future: F) -> Self {
        Corked { future }
    }
}

impl<F: Future> Future for Corked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        corked(|| future.poll(cx))
    }
}
