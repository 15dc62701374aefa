//! State that the channels of a topic share on a node: loaded by the first, dropped with the last.

#[cfg(test)]
mod tests;

use std::{
    any::TypeId,
    collections::{HashMap, hash_map::Entry},
    fmt,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{Channel, Socket, SocketView, telemetry};
use crate::{
    connection::ConnectInfo,
    endpoint::Endpoint,
    protocol::{Refusal, Topic},
};

/// State that the channels of type `C` on one topic share, for all clients of this node.
/// `#[channel(…, shared = Board)]` names it, and handlers borrow a `&Shared<Board>`.
///
/// ```
/// use channel_runtime::{LoadShared, Loading, prelude::*};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// pub struct Board { moves: AtomicU64 }
///
/// impl LoadShared<BoardChannel> for Board {
///     async fn load(loading: &Loading<'_, BoardChannel>) -> Result<Self, Refusal> {
///         let board = BoardChannel::captures(loading.topic())?;
///         if board == 0 { return Err(Refusal::new("no such board")); }
///         Ok(Board { moves: AtomicU64::new(0) })
///     }
/// }
///
/// pub struct BoardChannel;
///
/// #[channel("board:*", shared = Board)]
/// impl BoardChannel {
///     #[join("board:{board}")]
///     fn join(board: u64, shared: &Shared<Board>) -> (Self, u64) {
///         (BoardChannel, shared.moves.load(Ordering::Relaxed))
///     }
///
///     #[handle_in("move")]
///     fn moved(&mut self, shared: &Shared<Board>) {
///         shared.moves.fetch_add(1, Ordering::Relaxed);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is shared by the channels of a topic, but nothing loads it",
    label = "not loaded",
    note = "add `impl LoadShared<{C}> for {Self} {{ async fn load(loading: &Loading<'_, {C}>) -> Result<Self, Refusal> {{ … }} }}`"
)]
pub trait LoadShared<C: Channel>: Sized + Send + Sync + 'static {
    /// Makes what the topic's channels share, when the first of them joins on this node, or refuses the
    /// join.
    ///
    /// Runs before `#[join]`, once for a topic: clients that join meanwhile wait for it. When it
    /// refuses or panics, all of them are refused, and the next join loads anew. When the join that
    /// runs it is dropped, one of those that wait runs it in its place. A value is dropped before the
    /// next one of its topic is loaded, so what its `Drop` writes is read.
    ///
    /// Runs after `#[before_join]`, which is where to ask whether a client may see the topic at all:
    /// every client that it lets through can have this run, for any topic of the channel.
    fn load(loading: &Loading<'_, C>) -> impl Future<Output = Result<Self, Refusal>> + Send;
}

/// The join that has a topic's shared state loaded.
pub struct Loading<'a, C: Channel>(&'a Socket<C>);

impl<C: Channel> Loading<'_, C> {
    /// The topic; [`TypedTopic::captures`](crate::TypedTopic::captures) reads it.
    pub fn topic(&self) -> &Topic {
        self.0.topic()
    }

    /// The socket of the client that joins first.
    pub fn user(&self) -> &C::Socket {
        self.0.user()
    }

    /// The application's state, as the `#[socket(state = …)]` of the channel's socket names it.
    pub fn state(&self) -> &<C::Socket as SocketView>::State {
        self.0.state()
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }

    /// How the client that joins first has connected.
    pub fn connect_info(&self) -> &ConnectInfo {
        self.0.connect_info()
    }
}

/// The state that the channels of a topic share: derefs to the value that [`LoadShared`] made.
///
/// It is one value for all clients of the topic **on this node**; another node has one of its own, so
/// what must be the same everywhere belongs into a database, or is told by broadcasts. Handlers
/// borrow it at the same time, from several threads: what changes needs a lock or an atomic of your
/// own. It lives until the last channel of the topic has ended, after its `#[terminate]`.
pub struct Shared<T: Send + Sync + 'static>(OnceLock<Member<T>>);

impl<T: Send + Sync + 'static> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let value = self.0.get().and_then(Member::value);
        // Lent from a join on, and a join whose load failed does not run.
        value.expect("the shared state of a channel is loaded before its join")
    }
}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0.get().and_then(Member::value);
        f.debug_tuple("Shared").field(&value).finish()
    }
}

/// A channel's part of its topic's shared state: a [`Shared`], or `()` if it names none.
pub trait SharedPart<C: Channel>: Send + Sync + Sized + 'static {
    #[doc(hidden)]
    fn new() -> Self;

    /// Waits until it is loaded.
    #[doc(hidden)]
    fn enter(&self, socket: &Socket<C>) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The channel has ended.
    #[doc(hidden)]
    fn release(&mut self);
}

impl<C: Channel> SharedPart<C> for () {
    fn new() {}

    async fn enter(&self, _: &Socket<C>) -> Result<(), Refusal> {
        Ok(())
    }

    fn release(&mut self) {}
}

impl<C: Channel, T: LoadShared<C>> SharedPart<C> for Shared<T> {
    fn new() -> Self {
        Shared(OnceLock::new())
    }

    async fn enter(&self, socket: &Socket<C>) -> Result<(), Refusal> {
        let topics = socket.endpoint().extension::<Topics<T>>();
        let member = topics.enter((TypeId::of::<C>(), socket.topic().clone()));
        member
            .load(async {
                let loading = Loading(socket);
                let load = AssertUnwindSafe(async { T::load(&loading).await });
                load.catch_unwind().await.unwrap_or_else(|panic| {
                    telemetry::channel_panicked::<C>("a load of shared state", &*panic);
                    Err(Refusal::new("join crashed"))
                })
            })
            .await?;
        // A channel joins once.
        let _first = self.0.set(member);
        Ok(())
    }

    fn release(&mut self) {
        self.0.take();
    }
}

/// A topic of a type of channels.
type Key = (TypeId, Topic);

/// The topics of this node whose channels share a `T`.
struct Topics<T>(Mutex<HashMap<Key, Members<T>>>);

impl<T> Default for Topics<T> {
    fn default() -> Self {
        Topics(Mutex::default())
    }
}

/// How many channels a topic has, those that wait for its state among them.
struct Members<T> {
    attempt: Arc<Attempt<T>>,
    count: usize,
}

/// One load of a topic's state, by whichever of its channels.
struct Attempt<T> {
    value: OnceCell<Result<T, Refusal>>,
    /// Cancelled once the value before this one has been dropped.
    former: Option<CancellationToken>,
}

impl<T> Attempt<T> {
    fn after(former: Option<CancellationToken>) -> Arc<Self> {
        Arc::new(Attempt {
            value: OnceCell::new(),
            former,
        })
    }

    /// Returns true if no earlier value is left.
    fn is_free(&self) -> bool {
        let former = self.former.as_ref();
        former.is_none_or(CancellationToken::is_cancelled)
    }
}

impl<T: Send + Sync + 'static> Topics<T> {
    fn enter(self: Arc<Self>, key: Key) -> Member<T> {
        let mut topics = self.0.lock();
        let members = topics.entry(key.clone()).or_insert_with(|| Members {
            attempt: Attempt::after(None),
            count: 0,
        });
        members.count += 1;
        let attempt = Some(members.attempt.clone());
        drop(topics);
        Member {
            topics: self,
            key,
            attempt,
        }
    }
}

/// Returned to the last member: the value to drop, and the load that waits for that.
struct Last<T> {
    attempt: Arc<Attempt<T>>,
    next: Arc<Attempt<T>>,
}

/// One channel among those of its topic.
struct Member<T: Send + Sync + 'static> {
    topics: Arc<Topics<T>>,
    key: Key,
    /// Until it is dropped.
    attempt: Option<Arc<Attempt<T>>>,
}

impl<T: Send + Sync + 'static> Member<T> {
    fn value(&self) -> Option<&T> {
        self.attempt.as_ref()?.value.get()?.as_ref().ok()
    }

    /// Loads the value, or waits until another member has.
    async fn load(&self, load: impl Future<Output = Result<T, Refusal>>) -> Result<(), Refusal> {
        let Some(attempt) = &self.attempt else {
            return Ok(());
        };
        let load = async {
            if let Some(former) = &attempt.former {
                former.cancelled().await;
            }
            let loaded = load.await;
            if loaded.is_err() {
                // Before the waiting joins get the error, so that a join after it loads anew.
                self.forget(attempt);
            }
            loaded
        };
        let loaded = attempt.value.get_or_init(|| load).await;
        loaded.as_ref().map(|_| ()).map_err(Refusal::clone)
    }

    /// Has the next join load anew.
    fn forget(&self, attempt: &Arc<Attempt<T>>) {
        let mut topics = self.topics.0.lock();
        if let Entry::Occupied(members) = topics.entry(self.key.clone())
            && Arc::ptr_eq(&members.get().attempt, attempt)
        {
            members.remove();
        }
    }

    /// Leaves the others. The last one gets the value back, to drop it, and leaves an attempt in its
    /// place that waits for that.
    fn leave(&self, attempt: Arc<Attempt<T>>) -> Option<Last<T>> {
        let mut topics = self.topics.0.lock();
        let Entry::Occupied(mut members) = topics.entry(self.key.clone()) else {
            return None;
        };
        if !Arc::ptr_eq(&members.get().attempt, &attempt) {
            return None;
        }
        members.get_mut().count -= 1;
        if members.get().count > 0 {
            // Under the lock, so that the last member has the last reference.
            drop(attempt);
            return None;
        }
        if attempt.value.initialized() {
            let next = Attempt::after(Some(CancellationToken::new()));
            members.get_mut().attempt = next.clone();
            return Some(Last { attempt, next });
        }
        // If a value is still being dropped, the member that drops it removes the topic.
        if attempt.is_free() {
            members.remove();
        }
        None
    }

    /// Lets the topic's next value be loaded.
    fn free(&self, next: &Arc<Attempt<T>>) {
        if let Some(former) = &next.former {
            former.cancel();
        }
        let mut topics = self.topics.0.lock();
        if let Entry::Occupied(members) = topics.entry(self.key.clone())
            && Arc::ptr_eq(&members.get().attempt, next)
            && members.get().count == 0
        {
            members.remove();
        }
    }
}

impl<T: Send + Sync + 'static> Drop for Member<T> {
    fn drop(&mut self) {
        let Some(Last { attempt, next }) = self.attempt.take().and_then(|one| self.leave(one))
        else {
            return;
        };
        // Out of the lock: it is the user's code, and may take its time.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(attempt))) {
            telemetry::shared_panicked::<T>(&*panic);
        }
        self.free(&next);
    }
}
