use std::{fmt, panic::Location, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Inbound, Kind,
    client::{Wire, to_payload},
};
use crate::protocol::{Binary, Event, Intercepted, Payload, reserved};

/// A topic that a [`TestClient`](super::TestClient) has joined.
#[derive(Debug)]
pub struct TestChannel {
    wire: Arc<Wire>,
    topic: String,
    join_ref: String,
    joined: TestReply,
}

impl TestChannel {
    pub(super) fn new(wire: Arc<Wire>, topic: String, join_ref: String, joined: TestReply) -> Self {
        TestChannel {
            wire,
            topic,
            join_ref,
            joined,
        }
    }

    /// The response of the join.
    ///
    /// # Panics
    ///
    /// When it does not decode.
    #[track_caller]
    pub fn response<T: DeserializeOwned>(&self) -> T {
        self.joined.response()
    }

    /// Sends an event and waits for its reply. Mirrors `push/3` with `assert_reply`.
    ///
    /// # Panics
    ///
    /// When no reply comes; see [`TestChannel::cast`] for handlers that are silent.
    #[track_caller]
    pub fn push<P: Serialize>(
        &self,
        event: &str,
        payload: P,
    ) -> impl Future<Output = TestReply> + use<P> {
        let reference = self.send(event, &to_payload(payload));
        self.await_reply(reference)
    }

    /// As [`TestChannel::push`], with binary data.
    ///
    /// # Panics
    ///
    /// When no reply comes.
    #[track_caller]
    pub fn push_binary<B: Into<Binary>>(
        &self,
        event: &str,
        data: B,
    ) -> impl Future<Output = TestReply> + use<B> {
        let reference = self.send(event, &Payload::binary(data.into().0));
        self.await_reply(reference)
    }

    /// Sends an event and waits for nothing.
    pub fn cast(&self, event: &str, payload: impl Serialize) {
        self.send(event, &to_payload(payload));
    }

    fn send(&self, event: &str, payload: &Payload) -> String {
        let reference = self.wire.next_ref();
        self.wire
            .send(&self.join_ref, &reference, &self.topic, event, payload);
        reference
    }

    #[track_caller]
    fn await_reply(&self, reference: String) -> impl Future<Output = TestReply> + use<> {
        let (at, wire) = (Location::caller(), self.wire.clone());
        async move { wire.reply(&reference, at).await }
    }

    /// Waits for the event `E`, whether it is pushed to this client or broadcast on its topic, and
    /// decodes it: a test that does not care how an event was sent.
    ///
    /// # Panics
    ///
    /// When none comes, or it does not decode.
    #[track_caller]
    pub fn expect<E: Event + Intercepted>(&self) -> impl Future<Output = E> + use<E> {
        self.expect_kind(&[Kind::Push, Kind::Broadcast], E::NAME)
    }

    /// Waits for a push of the event `E` to this client, and decodes it. Mirrors `assert_push`.
    ///
    /// # Panics
    ///
    /// When none comes, or it does not decode.
    #[track_caller]
    pub fn expect_push<E: Event + Intercepted>(&self) -> impl Future<Output = E> + use<E> {
        self.expect_kind(&[Kind::Push], E::NAME)
    }

    /// Waits for a broadcast of the event `E` on this topic, and decodes it. Mirrors
    /// `assert_broadcast`.
    ///
    /// # Panics
    ///
    /// When none comes, or it does not decode.
    #[track_caller]
    pub fn expect_broadcast<E: Event + Intercepted>(&self) -> impl Future<Output = E> + use<E> {
        self.expect_kind(&[Kind::Broadcast], E::NAME)
    }

    /// Waits for a request to this client (see [`Socket::request`](crate::Socket::request)), which
    /// is then answered with [`TestRequest::reply`].
    ///
    /// # Panics
    ///
    /// When none comes, or it does not decode.
    #[track_caller]
    pub fn expect_request<E: Event + Intercepted>(
        &self,
    ) -> impl Future<Output = TestRequest<E>> + use<'_, E> {
        let at = Location::caller();
        async move {
            let wanted = format!("a request {:?}", E::NAME);
            let fits = |m: &Inbound| {
                let asks = m.kind == Kind::Push && !m.reference.is_empty();
                asks && m.topic == self.topic && m.event == E::NAME
            };
            let inbound = self.wire.expect(at, &wanted, fits).await;
            let command = E::from_broadcast(inbound.payload.clone())
                .unwrap_or_else(|error| panic!("{at}: {inbound:?} does not decode: {error}"));
            let reference = inbound.reference;
            TestRequest { command, reference }
        }
    }

    #[track_caller]
    fn expect_kind<E: Intercepted>(
        &self,
        kinds: &'static [Kind],
        event: &'static str,
    ) -> impl Future<Output = E> + use<E> {
        let (at, wire, topic) = (Location::caller(), self.wire.clone(), self.topic.clone());
        async move {
            let wanted = format!("{kinds:?} of {event:?}");
            let fits =
                |m: &Inbound| kinds.contains(&m.kind) && m.topic == topic && m.event == event;
            let inbound = wire.expect(at, &wanted, fits).await;
            E::from_broadcast(inbound.payload.clone())
                .unwrap_or_else(|error| panic!("{at}: {inbound:?} does not decode: {error}"))
        }
    }

    /// Waits for a push or a broadcast of an event whose payload holds all that `pattern` holds.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn expect_event(
        &self,
        event: &str,
        pattern: Value,
    ) -> impl Future<Output = Inbound> + use<> {
        let (at, wire, topic) = (Location::caller(), self.wire.clone(), self.topic.clone());
        let event = event.to_owned();
        async move {
            let wanted = format!("{event:?} with {pattern}");
            let fits = |m: &Inbound| {
                m.kind != Kind::Reply
                    && m.topic == topic
                    && m.event == event
                    && m.contains(&pattern)
            };
            wire.expect(at, &wanted, fits).await
        }
    }

    /// Fails if a push of `E` comes. Mirrors `refute_push`.
    ///
    /// # Panics
    ///
    /// When one comes.
    #[track_caller]
    pub fn refute_push<E: Event>(&self) -> impl Future<Output = ()> + use<E> {
        self.refute(Kind::Push, E::NAME)
    }

    /// Fails if a broadcast of `E` comes. Mirrors `refute_broadcast`.
    ///
    /// # Panics
    ///
    /// When one comes.
    #[track_caller]
    pub fn refute_broadcast<E: Event>(&self) -> impl Future<Output = ()> + use<E> {
        self.refute(Kind::Broadcast, E::NAME)
    }

    #[track_caller]
    fn refute(&self, kind: Kind, event: &'static str) -> impl Future<Output = ()> + use<> {
        let (at, wire, topic) = (Location::caller(), self.wire.clone(), self.topic.clone());
        async move {
            let fits = |m: &Inbound| m.kind == kind && m.topic == topic && m.event == event;
            wire.refute(at, event, fits).await;
        }
    }

    /// Leaves the topic: waits for the reply and for `phx_close`. Mirrors `leave/1`.
    ///
    /// # Panics
    ///
    /// When either does not come.
    #[track_caller]
    pub fn leave(self) -> impl Future<Output = ()> {
        let at = Location::caller();
        let reference = self.send(reserved::LEAVE, &Payload::empty());
        async move {
            self.wire.reply(&reference, at).await.expect_ok::<()>();
            self.ended(reserved::CLOSE, at).await;
        }
    }

    /// Waits for `phx_close`: the channel has stopped.
    ///
    /// # Panics
    ///
    /// When it does not come.
    #[track_caller]
    pub fn expect_close(&self) -> impl Future<Output = ()> + '_ {
        self.ended(reserved::CLOSE, Location::caller())
    }

    /// Waits for `phx_error`: the channel has failed or panicked.
    ///
    /// # Panics
    ///
    /// When it does not come.
    #[track_caller]
    pub fn expect_error(&self) -> impl Future<Output = ()> + '_ {
        self.ended(reserved::ERROR, Location::caller())
    }

    async fn ended(&self, event: &'static str, at: &'static Location<'static>) {
        let fits =
            |m: &Inbound| m.topic == self.topic && m.event == event && m.join_ref == self.join_ref;
        self.wire.expect(at, event, fits).await;
    }
}

/// A request of the server to this client: see [`TestChannel::expect_request`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TestRequest<E> {
    /// The command that the server sends.
    pub command: E,
    /// The ref that the answer names.
    pub reference: String,
}

impl<E> TestRequest<E> {
    /// Answers, as `channel.push("reply:" + ref, payload)` does, and waits until that is taken.
    ///
    /// # Panics
    ///
    /// When it is not answered itself.
    #[track_caller]
    pub fn reply<P: Serialize>(
        &self,
        channel: &TestChannel,
        payload: P,
    ) -> impl Future<Output = TestReply> + use<E, P> {
        channel.push(&format!("reply:{}", self.reference), payload)
    }
}

/// The reply to a message or a join.
#[derive(Clone)]
pub struct TestReply {
    inbound: Inbound,
    at: &'static Location<'static>,
}

impl TestReply {
    pub(super) fn new(inbound: Inbound, at: &'static Location<'static>) -> Self {
        TestReply { inbound, at }
    }

    /// The status: `ok`, `error`, or a handler's own.
    pub fn status(&self) -> &str {
        &self.inbound.event
    }

    /// The response as it came.
    pub fn payload(&self) -> &Payload {
        &self.inbound.payload
    }

    /// The response, decoded.
    ///
    /// # Panics
    ///
    /// When it does not decode.
    #[track_caller]
    pub fn response<T: DeserializeOwned>(&self) -> T {
        // Like `()` on the way out: an empty response is the unit value.
        let decoded = match self.payload().as_json() {
            Some("{}") => Payload::empty().decode().or_else(|_| unit().decode()),
            _ => self.payload().decode(),
        };
        decoded.unwrap_or_else(|error| panic!("{self:?} does not decode: {error}"))
    }

    /// The response of a reply with status `ok`; `()` for an empty one.
    ///
    /// # Panics
    ///
    /// When the status is another, or the response does not decode.
    #[track_caller]
    pub fn expect_ok<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status(), "ok", "{}: the reply is {self:?}", self.at);
        self.response()
    }

    /// The `reason` of a reply with status `error`.
    ///
    /// # Panics
    ///
    /// When the status is another, or there is no reason.
    #[track_caller]
    pub fn expect_refusal(&self) -> String {
        assert_eq!(self.status(), "error", "{}: the reply is {self:?}", self.at);
        let response: Value = self.response();
        let reason = response["reason"].as_str();
        reason
            .unwrap_or_else(|| panic!("{self:?} gives no reason"))
            .to_owned()
    }
}

fn unit() -> Payload {
    Payload::json(&()).unwrap_or_default()
}

impl fmt::Debug for TestReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inbound.fmt(f)
    }
}
