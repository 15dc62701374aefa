//! Answers with a stream: its items are pushes, its end is the reply.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use futures_util::{FutureExt, Stream, StreamExt};
use parking_lot::Mutex;
use tokio::{runtime::Handle as Runtime, sync::Semaphore, task::coop};
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Channel, IntoAnswer, IntoRefusal, IntoReply, PushedBy, Socket, SocketRef,
    answer::ReplyLater, telemetry,
};
use crate::{
    connection::ClientSender,
    error::Error,
    protocol::{Event, Payload, Refusal, Term, Topic},
};

/// The number of streams that one channel may run at once.
const MOST: usize = 16;

/// An answer that is a stream, made by [`Socket::stream`](super::Socket::stream).
///
/// Its items are pushed one after the other, and its end is the reply. A task of its own polls it,
/// only while less than half of the client's outbox waits, so a slow client slows it down; the
/// channel goes on meanwhile. The channel's end drops it.
#[derive(Clone)]
#[must_use = "a stream begins when the handler returns it"]
pub struct PushStream(Arc<Once>);

/// The source, taken out when the stream begins.
struct Once(Mutex<Option<Source>>);

type Items = Pin<Box<dyn Stream<Item = Result<Push, Refusal>> + Send>>;
type End = Box<dyn FnOnce(u64) -> Answer + Send>;

struct Source {
    channel: &'static str,
    client: ClientSender,
    join_ref: Term,
    topic: Topic,
    runtime: Runtime,
    /// Cancelled with the channel.
    alive: CancellationToken,
    places: Arc<Semaphore>,
    items: Items,
    end: End,
}

/// An event to be pushed.
#[doc(hidden)]
pub struct Push {
    event: &'static str,
    payload: Payload,
}

/// An item of a stream that a handler returns: an event that the channel pushes, or a `Result` of
/// one whose error ends the stream with an error reply.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event that `{C}` pushes",
    label = "not among the channel's events",
    note = "a stream's items are events of `#[channel(…, pushes = […])]`, or a `Result` of one"
)]
pub trait IntoPush<C> {
    /// Converts the item.
    ///
    /// # Errors
    ///
    /// Returns the refusal that ends the stream.
    #[doc(hidden)]
    fn into_push(self) -> Result<Push, Refusal>;
}

#[diagnostic::do_not_recommend]
impl<C: Channel, E: PushedBy<C> + Event> IntoPush<C> for E {
    fn into_push(self) -> Result<Push, Refusal> {
        let payload = self.to_payload()?;
        Ok(Push {
            event: E::NAME,
            payload,
        })
    }
}

#[diagnostic::do_not_recommend]
impl<C: Channel, E: PushedBy<C> + Event, R: IntoRefusal> IntoPush<C> for Result<E, R> {
    fn into_push(self) -> Result<Push, Refusal> {
        match self {
            Ok(event) => event.into_push(),
            Err(error) => Err(error.into_refusal()),
        }
    }
}

impl PushStream {
    pub(super) fn new<C: Channel, S>(socket: &Socket<C>, items: S) -> Self
    where
        S: Stream<Item: IntoPush<C>> + Send + 'static,
    {
        let mailbox = socket.mailbox();
        let source = Source {
            channel: C::NAME,
            client: mailbox.client.clone(),
            join_ref: mailbox.join_ref.clone(),
            topic: mailbox.topic.clone(),
            runtime: mailbox.runtime.clone(),
            alive: mailbox.timers.token(),
            places: mailbox.streams.places(),
            items: Box::pin(items.map(IntoPush::into_push)),
            end: Box::new(|_| Answer::ok(())),
        };
        PushStream(Arc::new(Once(Mutex::new(Some(source)))))
    }

    /// Sets the reply at the end, computed from the number of items pushed. Default: `{}`.
    pub fn reply<R: IntoReply>(self, end: impl FnOnce(u64) -> R + Send + 'static) -> Self {
        if let Some(source) = &mut *self.0.0.lock() {
            source.end = Box::new(|pushed| end(pushed).into_reply());
        }
        self
    }
}

impl ReplyLater for Once {
    fn begin(&self, client: &ClientSender, join_ref: &Term, reference: &Term, topic: &Topic) {
        let Some(source) = self.0.lock().take() else {
            return;
        };
        let (topic, join_ref, reference) = (topic.clone(), join_ref.clone(), reference.clone());
        let to = SocketRef::new(client.clone(), topic, join_ref, reference);
        let Ok(place) = source.places.clone().try_acquire_owned() else {
            return to.error(Refusal::new("too many streams"));
        };
        let (runtime, alive) = (source.runtime.clone(), source.alive.clone());
        let run = async move {
            let _place = place;
            let channel = source.channel;
            let run = AssertUnwindSafe(source.run(to));
            if let Err(panic) = run.catch_unwind().await {
                telemetry::stream_panicked(channel, &*panic);
            }
        };
        runtime.spawn(alive.run_until_cancelled_owned(run));
    }
}

impl Source {
    async fn run(mut self, to: SocketRef) {
        let mut pushed = 0;
        loop {
            self.client.outbox().half_empty().await;
            let push = match self.items.next().await {
                Some(Ok(push)) => push,
                Some(Err(refusal)) => return to.error(refusal),
                None => return to.reply((self.end)(pushed)),
            };
            let Push { event, payload } = push;
            if let Err(error) = self
                .client
                .push(&self.join_ref, &self.topic, event, &payload)
            {
                return to.error(Error::from(error));
            }
            pushed += 1;
            // A stream that is always ready yields to other tasks.
            coop::consume_budget().await;
        }
    }
}

impl IntoReply for PushStream {
    fn into_reply(self) -> Answer {
        Answer {
            later: Some(self.0),
            ..Answer::default()
        }
    }
}

impl IntoAnswer for PushStream {
    fn into_answer(self) -> Answer {
        self.into_reply()
    }
}

impl fmt::Debug for PushStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushStream").finish_non_exhaustive()
    }
}

/// The places of a channel's streams, empty until the first one.
#[derive(Debug, Default)]
pub(super) struct Streams(OnceLock<Arc<Semaphore>>);

impl Streams {
    fn places(&self) -> Arc<Semaphore> {
        let places = self.0.get_or_init(|| Arc::new(Semaphore::new(MOST)));
        places.clone()
    }
}
