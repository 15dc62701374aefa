//! Requests to the client: a push that waits for the client's answer.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use thiserror::Error as ThisError;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout},
};

use super::{Channel, Reason, telemetry};
use crate::{
    error::Error,
    protocol::{EncodeError, FromPayload, Message, Payload, PayloadError, Refusal},
};

/// The number of requests of one channel that wait for answers at once; a further one waits for a
/// place.
pub(super) const MOST: usize = 64;

/// The event of an answer is this prefix and the request's ref.
const ANSWER: &str = "reply:";

/// The prefix of a request's ref, which tells it from the client's own refs.
const REF: &str = "req";

/// The reason why a request to a client has no answer.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum RequestError {
    /// The client did not answer in time. A later answer is refused with the reason `no request
    /// waits`.
    #[error("the client did not answer in time")]
    Timeout,
    /// 64 requests of the channel were waiting, and none ended in time: the client was not asked.
    #[error("too many requests of the channel wait for the client")]
    Busy,
    /// The client has not joined yet: a `#[join]` cannot ask it.
    #[error("the client has not joined yet")]
    NotJoined,
    /// The client left the topic, or joined it again.
    #[error("the client left the channel")]
    Left,
    /// The client's connection is gone.
    #[error("the client's connection is gone")]
    Closed,
    /// The channel has ended: it stopped, failed, crashed or was drained.
    #[error("the channel has ended")]
    ChannelEnded,
    /// The client's answer does not fit the answer's type, and the client was told so.
    #[error("the client's answer does not fit: {0}")]
    Payload(PayloadError),
    /// The command cannot be sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl RequestError {
    fn label(&self) -> &'static str {
        match self {
            RequestError::Timeout => "timeout",
            RequestError::Busy => "busy",
            RequestError::NotJoined => "not_joined",
            RequestError::Left => "left",
            RequestError::Closed => "closed",
            RequestError::ChannelEnded => "ended",
            RequestError::Payload(_) => "invalid",
            RequestError::Encode(_) => "encode",
        }
    }
}

impl From<RequestError> for Refusal {
    /// Converts to `no answer`, unless the command or the answer was at fault.
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Payload(error) => error.into(),
            RequestError::Encode(error) => Error::from(error).into(),
            _ => Refusal::new("no answer"),
        }
    }
}

/// The reason why a channel makes no more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    NotJoined,
    Left,
    Closed,
    Ended,
}

impl From<Over> for RequestError {
    fn from(over: Over) -> Self {
        match over {
            Over::NotJoined => RequestError::NotJoined,
            Over::Left => RequestError::Left,
            Over::Closed => RequestError::Closed,
            Over::Ended => RequestError::ChannelEnded,
        }
    }
}

/// Decodes an answer and passes it to the request. Refuses the client if it does not fit.
type Take = Box<dyn FnOnce(Payload) -> Result<(), Refusal> + Send>;

/// The requests of one channel, empty until the first one.
pub(super) struct Requests(Mutex<State>);

struct State {
    over: Option<Over>,
    waiting: Option<Box<Waiting>>,
}

struct Waiting {
    /// The number of the last request.
    last: u64,
    takes: HashMap<u64, Take>,
    places: Arc<Semaphore>,
}

impl Default for Requests {
    fn default() -> Self {
        Requests(Mutex::new(State {
            over: Some(Over::NotJoined),
            waiting: None,
        }))
    }
}

impl Requests {
    /// Opens the requests once the client has joined, unless it has left by now.
    pub(super) fn open(&self) {
        let mut state = self.0.lock();
        if state.over == Some(Over::NotJoined) {
            state.over = None;
        }
    }

    /// Fails the requests, since the client leaves.
    pub(super) fn left(&self) {
        self.end(Over::Left);
    }

    /// Fails the requests, since the connection is gone.
    pub(super) fn closed(&self) {
        self.end(Over::Closed);
    }

    /// Fails the requests, since the channel ends.
    pub(super) fn ended(&self, reason: Option<&Reason>) {
        self.end(match reason {
            Some(Reason::Left | Reason::Rejoined) => Over::Left,
            Some(Reason::Closed) => Over::Closed,
            _ => Over::Ended,
        });
    }

    /// Fails the waiting requests. The first reason stays.
    fn end(&self, why: Over) {
        let mut state = self.0.lock();
        if matches!(state.over, None | Some(Over::NotJoined)) {
            state.over = Some(why);
        }
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.places.close();
        }
    }

    fn why_over(&self) -> RequestError {
        self.0.lock().over.unwrap_or(Over::Ended).into()
    }

    fn places(&self) -> Result<Arc<Semaphore>, RequestError> {
        let mut state = self.0.lock();
        if let Some(over) = state.over {
            return Err(over.into());
        }
        let waiting = state.waiting.get_or_insert_with(|| {
            Box::new(Waiting {
                last: 0,
                takes: HashMap::new(),
                places: Arc::new(Semaphore::new(MOST)),
            })
        });
        Ok(waiting.places.clone())
    }

    fn register(&self, take: Take) -> Result<u64, RequestError> {
        let mut state = self.0.lock();
        let over = state.over;
        match (&mut state.waiting, over) {
            (Some(waiting), None) => {
                waiting.last += 1;
                waiting.takes.insert(waiting.last, take);
                Ok(waiting.last)
            }
            (_, over) => Err(over.unwrap_or(Over::Ended).into()),
        }
    }

    fn forget(&self, number: u64) {
        let mut state = self.0.lock();
        let waiting = state.waiting.as_mut();
        let forgotten = waiting.and_then(|waiting| waiting.takes.remove(&number));
        drop(state);
        drop(forgotten);
    }

    /// Passes an answer to its request, and returns the reply for the client. Returns `None` for a
    /// message that answers no request which was ever made.
    pub(super) fn take(&self, message: &Message) -> Option<Result<(), Refusal>> {
        let number = message.event.as_str()?.strip_prefix(ANSWER)?;
        let number = number.strip_prefix(REF)?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| digits)?;
        let mut state = self.0.lock();
        let waiting = state.waiting.as_mut()?;
        if number == 0 || number > waiting.last {
            return None;
        }
        let take = waiting.takes.remove(&number);
        // A user's type decodes itself, so not under the lock.
        drop(state);
        let Some(take) = take else {
            return Some(Err(Refusal::new("no request waits")));
        };
        Some(take(message.payload.clone()))
    }
}

/// A request's place among those that wait, given back on drop.
struct Asked<'a> {
    requests: &'a Requests,
    number: u64,
    _place: OwnedSemaphorePermit,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.requests.forget(self.number);
    }
}

/// A request under way: the future of its answer, an `A` or a [`RequestError`].
#[must_use = "the client is asked once this is awaited"]
pub struct Request<'a, A>(BoxFuture<'a, Result<A, RequestError>>);

impl<A> Future for Request<'_, A> {
    type Output = Result<A, RequestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<A> fmt::Debug for Request<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Pushes a command with a ref, and waits for the answer.
pub(super) fn request<'a, C: Channel, A: FromPayload + Send + 'static>(
    requests: &'a Requests,
    push: impl FnOnce(&str) -> Result<(), EncodeError> + Send + 'a,
    limit: Duration,
) -> Request<'a, A> {
    Request(Box::pin(async move {
        let started = Instant::now();
        let answer = ask::<A>(requests, push, limit, started).await;
        let outcome = answer.as_ref().err().map_or("ok", RequestError::label);
        telemetry::requested::<C>(outcome, started.elapsed());
        answer
    }))
}

async fn ask<A: FromPayload + Send + 'static>(
    requests: &Requests,
    push: impl FnOnce(&str) -> Result<(), EncodeError> + Send,
    limit: Duration,
    started: Instant,
) -> Result<A, RequestError> {
    let places = requests.places()?;
    let place = match timeout(limit, places.acquire_owned()).await {
        Ok(Ok(place)) => place,
        Ok(Err(_)) => return Err(requests.why_over()),
        Err(_) => return Err(RequestError::Busy),
    };
    let (sender, answer) = oneshot::channel();
    let number = requests.register(Box::new(move |payload| decode(payload, sender)))?;
    let _asked = Asked {
        requests,
        number,
        _place: place,
    };
    push(&format!("{REF}{number}"))?;
    match timeout(limit.saturating_sub(started.elapsed()), answer).await {
        Ok(Ok(answer)) => answer.map_err(RequestError::Payload),
        Ok(Err(_)) => Err(requests.why_over()),
        Err(_) => Err(RequestError::Timeout),
    }
}

/// Decodes an answer. Runs in the task of the client's connection, which a panicking decoder must
/// not end.
fn decode<A: FromPayload>(
    payload: Payload,
    to: oneshot::Sender<Result<A, PayloadError>>,
) -> Result<(), Refusal> {
    let decoded = catch_unwind(AssertUnwindSafe(|| A::from_payload(payload)));
    let answer = decoded.unwrap_or_else(|panic: Box<dyn Any + Send>| {
        telemetry::decoder_panicked(&*panic);
        Err(PayloadError::new("it cannot be read"))
    });
    let told = answer.as_ref().map(|_| ()).map_err(|e| e.clone().into());
    // The request may have been dropped by now.
    let _gone = to.send(answer);
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Term;

    fn answer(event: &str) -> Message {
        Message {
            join_ref: Term::Null,
            reference: Term::Null,
            topic: Term::from("room:1"),
            event: Term::from(event),
            payload: Payload::empty(),
        }
    }

    #[test]
    fn only_refs_that_were_given_out_are_answers() {
        let requests = Requests::default();
        requests.open();
        assert!(requests.take(&answer("reply:req1")).is_none());
        let _places = requests.places().unwrap();
        let number = requests.register(Box::new(|_| Ok(()))).unwrap();
        assert_eq!(number, 1);
        for event in [
            "reply:",
            "reply:1",
            "reply:req0",
            "reply:req2",
            "req1",
            "reply:req+1",
        ] {
            assert!(requests.take(&answer(event)).is_none(), "{event}");
        }
        assert_eq!(requests.take(&answer("reply:req1")), Some(Ok(())));
        let again = requests.take(&answer("reply:req1")).unwrap();
        assert_eq!(again.unwrap_err().reason(), Some("no request waits"));
    }

    #[test]
    fn the_first_reason_for_an_end_is_the_one_that_is_told() {
        let requests = Requests::default();
        assert!(matches!(requests.places(), Err(RequestError::NotJoined)));
        requests.open();
        requests.left();
        requests.ended(None);
        requests.open();
        assert!(matches!(requests.places(), Err(RequestError::Left)));
    }
}
