use std::{
    any::{TypeId, type_name},
    collections::VecDeque,
    future::poll_fn,
    panic::Location,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use axum::http::Extensions;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use super::{Inbound, Kind, TestChannel, TestReply};
use crate::{
    connection::{Close, ConnectError, ConnectInfo, ConnectRequest, Connection, Event, Params},
    endpoint::Endpoint,
    protocol::{Frame, Payload, Refusal, reserved},
    socket::TestState,
};

/// How long a test waits for what it expects: a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a test waits for what it does not expect.
const SILENCE: Duration = Duration::from_secs(1);

/// A client in memory: one connection to a socket of an [`Endpoint`].
///
/// Dropping it closes the connection, as a client that goes away does.
#[derive(Debug)]
pub struct TestClient(pub(super) Arc<Wire>);

/// Both ends of a connection in memory.
#[derive(Debug)]
pub(super) struct Wire {
    frames: Mutex<Option<mpsc::UnboundedSender<Frame>>>,
    received: Mutex<VecDeque<Inbound>>,
    closed: Mutex<Option<Close>>,
    changed: Notify,
    next_ref: AtomicU64,
}

/// Connects with more than parameters: see [`TestClient::builder`].
#[derive(Debug)]
#[must_use = "call `connect`"]
pub struct TestClientBuilder<'a> {
    endpoint: &'a Endpoint,
    path: Option<&'a str>,
    query: String,
    info: ConnectInfo,
    extensions: Extensions,
    state: Option<(TypeId, &'static str)>,
}

impl<'a> TestClientBuilder<'a> {
    /// Connects to the socket mounted at `path`, such as `/dashboard`; to the endpoint's first one
    /// unless given.
    pub fn path(mut self, path: &'a str) -> Self {
        self.path = Some(path);
        self
    }

    /// Serves this client with another state than the endpoint's: what `#[socket(state = …)]` names,
    /// for its `#[connect]` and for the handlers of all its channels. Other clients do not see it.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.extensions.insert(TestState(Arc::new(state)));
        self.state = Some((TypeId::of::<T>(), type_name::<T>()));
        self
    }

    /// The connect parameters: a struct, a map, or `()` for none.
    ///
    /// # Panics
    ///
    /// When they cannot be a query string.
    pub fn params(mut self, params: impl Serialize) -> Self {
        self.query = serde_html_form::to_string(params).expect("connect params are flat");
        self
    }

    /// Sets the connect info that the socket's `#[connect]` and the channels see.
    pub fn connect_info(mut self, info: ConnectInfo) -> Self {
        self.info = info;
        self
    }

    /// Adds an extension for `#[connect]`, as the application's router does with `axum::Extension`.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.extensions.insert(extension);
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of the socket's `#[connect]`.
    ///
    /// # Panics
    ///
    /// When the endpoint has no socket at the path, or one whose state is of another type than what
    /// [`TestClientBuilder::state`] gave.
    pub async fn connect(self) -> Result<TestClient, Refusal> {
        let mounts = self.endpoint.mounts();
        let (mount, values) = match self.path {
            Some(path) => mounts.at(path),
            None => {
                let first = mounts.iter().next();
                first.map(|(_, mount)| (mount, Vec::new()))
            }
        }
        .unwrap_or_else(|| panic!("no socket is mounted at {:?}", self.path.unwrap_or("/")));
        if let Some((given, name)) = self.state {
            let (needed, needs) = mount.state();
            assert!(
                given == needed,
                "the state of `{}` is `{needs}`, not `{name}`",
                mount.name()
            );
        }
        let params = Params::from_query(format!("{}&vsn=2.0.0", self.query)).with_path(values);
        let (info, extensions) = (self.info, self.extensions);
        let request = ConnectRequest {
            params,
            info,
            extensions,
            text_only: false,
        };
        let connection = mount
            .connect(self.endpoint.clone(), request)
            .await
            .map_err(|error| match error {
                ConnectError::Refused(refusal) => refusal,
                other => Refusal::new(other.to_string()),
            })?;
        let (frames, inbound) = mpsc::unbounded_channel();
        let wire = Arc::new(Wire {
            frames: Mutex::new(Some(frames)),
            received: Mutex::default(),
            closed: Mutex::default(),
            changed: Notify::new(),
            next_ref: AtomicU64::new(1),
        });
        self.endpoint
            .tasks()
            .spawn(pump(connection, inbound, wire.clone()));
        Ok(TestClient(wire))
    }
}

/// The transport of a test: frames go over as they are.
async fn pump(
    mut connection: Connection,
    mut inbound: mpsc::UnboundedReceiver<Frame>,
    wire: Arc<Wire>,
) {
    // Waits until there is room for it; nothing is read behind it, and all else goes on.
    let mut sent = None;
    let close = loop {
        let is_held_up = sent.is_some();
        let event = poll_fn(|cx| {
            if is_held_up && let Poll::Ready(taken) = connection.poll_receive(&mut sent, cx) {
                return Poll::Ready(
                    taken.map_or_else(|close| Some(Event::Close(close)), |()| None),
                );
            }
            connection.poll_next(cx).map(Some)
        });
        tokio::select! {
            event = event => match event {
                None => {}
                Some(Event::Frame(frame)) => wire.receive(Inbound::decode(frame)),
                Some(Event::Close(close)) => break close,
            },
            frame = inbound.recv(), if !is_held_up => match frame {
                None => break Close::new(1000, ""),
                taken => sent = taken,
            },
        }
    };
    drop(connection);
    wire.frames.lock().take();
    *wire.closed.lock() = Some(close);
    wire.changed.notify_waiters();
}

impl TestClient {
    /// Connects to the endpoint's first socket with these parameters; `()` for none.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of the socket's `#[connect]`.
    ///
    /// # Panics
    ///
    /// When the endpoint has no socket.
    pub async fn connect(endpoint: &Endpoint, params: impl Serialize) -> Result<Self, Refusal> {
        TestClient::builder(endpoint).params(params).connect().await
    }

    /// Connects to the socket mounted at `path`.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of the socket's `#[connect]`.
    ///
    /// # Panics
    ///
    /// When the endpoint has no socket there.
    pub async fn connect_at(
        endpoint: &Endpoint,
        path: &str,
        params: impl Serialize,
    ) -> Result<Self, Refusal> {
        let builder = TestClient::builder(endpoint).path(path);
        builder.params(params).connect().await
    }

    /// Connects with more than parameters.
    pub fn builder(endpoint: &Endpoint) -> TestClientBuilder<'_> {
        let info = ConnectInfo::over("test");
        TestClientBuilder {
            endpoint,
            path: None,
            query: String::new(),
            info,
            extensions: Extensions::new(),
            state: None,
        }
    }

    /// Joins a topic and waits for the answer; `()` for no payload.
    ///
    /// # Errors
    ///
    /// The reply that refused the join.
    ///
    /// # Panics
    ///
    /// When no answer comes.
    #[track_caller]
    pub fn join<P: Serialize>(
        &self,
        topic: &str,
        payload: P,
    ) -> impl Future<Output = Result<TestChannel, TestReply>> + use<P> {
        let (at, wire, topic) = (Location::caller(), self.0.clone(), topic.to_owned());
        let reference = wire.next_ref();
        wire.send(
            &reference,
            &reference,
            &topic,
            reserved::JOIN,
            &to_payload(payload),
        );
        async move {
            let reply = wire.reply(&reference, at).await;
            if reply.status() == "ok" {
                Ok(TestChannel::new(wire, topic, reference, reply))
            } else {
                Err(reply)
            }
        }
    }

    /// Sends a frame as it is, to see what a broken client gets. What comes back is read with
    /// [`TestClient::next`].
    pub fn send_raw(&self, frame: Frame) {
        self.0.send_frame(frame);
    }

    /// The next message of the server that nothing else has taken, whatever it is.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn next(&self) -> impl Future<Output = Inbound> + use<> {
        let (at, wire) = (Location::caller(), self.0.clone());
        async move { wire.expect(at, "a message", |_| true).await }
    }

    /// Waits until the server closes the connection, and says how.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn expect_close(&self) -> impl Future<Output = Close> + use<> {
        let (at, wire) = (Location::caller(), self.0.clone());
        async move {
            let closed = wire.wait(PATIENCE, |wire| wire.closed.lock().clone()).await;
            closed.unwrap_or_else(|| panic!("{at}: expected the connection to be closed"))
        }
    }

    /// Closes the connection, as a client that goes away does, and waits until it is gone.
    pub async fn close(self) {
        self.0.frames.lock().take();
        let _patience = self
            .0
            .wait(PATIENCE, |wire| wire.closed.lock().clone())
            .await;
    }
}

impl Drop for TestClient {
    fn drop(&mut self) {
        self.0.frames.lock().take();
    }
}

pub(super) fn to_payload(value: impl Serialize) -> Payload {
    let payload = Payload::json(&value).expect("a payload can be JSON");
    if payload.as_json() == Some("null") {
        Payload::empty()
    } else {
        payload
    }
}

impl Wire {
    pub(super) fn next_ref(&self) -> String {
        self.next_ref.fetch_add(1, Ordering::Relaxed).to_string()
    }

    fn receive(&self, message: Inbound) {
        self.received.lock().push_back(message);
        self.changed.notify_waiters();
    }

    pub(super) fn send(
        &self,
        join_ref: &str,
        reference: &str,
        topic: &str,
        event: &str,
        payload: &Payload,
    ) {
        let frame = match payload.as_json() {
            Some(json) => {
                let mut parts = [join_ref, reference, topic, event]
                    .map(|part| serde_json::to_string(part).expect("text is JSON"))
                    .join(",");
                parts.insert(0, '[');
                Frame::Text(format!("{parts},{json}]").into())
            }
            None => Frame::Binary(binary_push([join_ref, reference, topic, event], payload)),
        };
        self.send_frame(frame);
    }

    fn send_frame(&self, frame: Frame) {
        if let Some(frames) = &*self.frames.lock() {
            // A closed connection shows in what the test expects next.
            let _closed = frames.send(frame);
        }
    }

    pub(super) async fn reply(&self, reference: &str, at: &'static Location<'static>) -> TestReply {
        let wanted = format!("a reply to message {reference}");
        let is_it = |m: &Inbound| m.kind == Kind::Reply && m.reference == reference;
        TestReply::new(self.expect(at, &wanted, is_it).await, at)
    }

    /// Takes the first message that fits.
    pub(super) async fn expect(
        &self,
        at: &'static Location<'static>,
        wanted: &str,
        fits: impl Fn(&Inbound) -> bool,
    ) -> Inbound {
        let found = self.wait(PATIENCE, |wire| wire.take(&fits)).await;
        found.unwrap_or_else(|| {
            let got = self.received.lock();
            panic!("{at}: expected {wanted}; what came instead: {got:#?}")
        })
    }

    /// Fails when a message that fits comes.
    pub(super) async fn refute(
        &self,
        at: &'static Location<'static>,
        unwanted: &str,
        fits: impl Fn(&Inbound) -> bool,
    ) {
        if let Some(message) = self.wait(SILENCE, |wire| wire.take(&fits)).await {
            panic!("{at}: expected no {unwanted}, but this came: {message:?}");
        }
    }

    fn take(&self, fits: impl Fn(&Inbound) -> bool) -> Option<Inbound> {
        let mut received = self.received.lock();
        let at = received.iter().position(fits)?;
        received.remove(at)
    }

    async fn wait<T>(&self, most: Duration, ready: impl Fn(&Self) -> Option<T>) -> Option<T> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(value) = ready(self) {
                    return value;
                }
                changed.await;
            }
        };
        timeout(most, wait).await.ok()
    }
}

fn binary_push(fields: [&str; 4], payload: &Payload) -> bytes::Bytes {
    let mut frame = vec![0];
    frame.extend(fields.map(|f| u8::try_from(f.len()).expect("a binary field has 255 bytes")));
    fields
        .iter()
        .for_each(|field| frame.extend_from_slice(field.as_bytes()));
    frame.extend_from_slice(payload.as_binary().map(AsRef::as_ref).unwrap_or_default());
    frame.into()
}
