//! Raw sockets: custom sockets without channels, which take and send frames.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, PollSender};

use crate::{
    channel::Reason,
    connection::{
        Close, ConnectError, ConnectRequest, Connection, ConnectionHandler, Control, Corked,
        OutboundFrame, Outbox, Received, Urgency,
    },
    endpoint::Endpoint,
    error::Error,
    options::SocketOptions,
    protocol::{Frame, Refusal},
    socket::{Mount, guarded},
    telemetry,
};

/// The time a socket may take to end once its client is gone.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// A socket without channels, mounted with
/// [`EndpointBuilder::raw_socket`](crate::EndpointBuilder::raw_socket): frames of any format, over
/// every transport. Mirrors the `Phoenix.Socket.Transport` behaviour.
///
/// One value serves one client, in a task of its own: the handlers run one after the other, and
/// while one runs, the client's next frame waits at the transport. A panic closes this connection
/// only, with code 1011.
///
/// ```
/// use channel_runtime::{
///     Close, Endpoint, Refusal,
///     transport::{ConnectRequest, RawHandle, RawSocket, Action},
///     protocol::Frame,
/// };
///
/// struct Ping;
///
/// impl RawSocket for Ping {
///     type Message = ();
///
///     async fn connect(_: &ConnectRequest, _: &Endpoint) -> Result<Self, Refusal> {
///         Ok(Ping)
///     }
///
///     async fn handle_in(&mut self, frame: Frame, _: &RawHandle<Self>) -> Action {
///         match frame {
///             Frame::Text(text) if &*text == "ping" => Action::Push(Frame::Text("pong".into())),
///             _ => Action::Stop(Close { code: 1003, reason: "only ping".into() }),
///         }
///     }
/// }
///
/// let endpoint = Endpoint::builder().raw_socket::<Ping>("/ping").build()?;
/// # Ok::<(), channel_runtime::ConfigError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a raw socket",
    label = "implement `RawSocket`, or mount a `#[socket]` type with `.socket::<{Self}>(…)`"
)]
pub trait RawSocket: Sized + Send + 'static {
    /// The type of message that server code may send it, through [`RawHandle::send`].
    type Message: Send + 'static;

    /// Accepts or refuses a client. Mirrors `c:connect/1`.
    fn connect(
        request: &ConnectRequest,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<Self, Refusal>> + Send;

    /// Runs first, in the socket's own task. Mirrors `c:init/1`.
    fn init(&mut self, _socket: &RawHandle<Self>) -> impl Future<Output = Action> + Send {
        async { Action::Continue }
    }

    /// Handles a frame of the client. Mirrors `c:handle_in/2`.
    fn handle_in(
        &mut self,
        frame: Frame,
        socket: &RawHandle<Self>,
    ) -> impl Future<Output = Action> + Send;

    /// Handles a ping or a pong, which the transport has already answered. Mirrors
    /// `c:handle_control/2`.
    fn handle_control(
        &mut self,
        _control: Control,
        _socket: &RawHandle<Self>,
    ) -> impl Future<Output = Action> + Send {
        async { Action::Continue }
    }

    /// Handles a message from server code. Mirrors `c:handle_info/2`.
    fn handle_info(
        &mut self,
        _message: Self::Message,
        _socket: &RawHandle<Self>,
    ) -> impl Future<Output = Action> + Send {
        async { Action::Continue }
    }

    /// Runs last, except after a panic; it has five seconds. Mirrors `c:terminate/2`.
    fn terminate(self, _reason: Reason) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// The outcome of a [`RawSocket`] handler.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Does nothing. Mirrors `{:ok, state}`.
    Continue,
    /// Sends a frame to the client. Mirrors `{:reply, status, frame, state}` and `{:push, frame,
    /// state}`.
    Push(Frame),
    /// Ends the connection. Mirrors `{:stop, reason, state}`.
    Stop(Close),
}

/// A handle to a [`RawSocket`]: pushes to its client and sends it messages, from any task. Cheap to
/// clone; it does not keep the connection open.
pub struct RawHandle<S: RawSocket> {
    outbox: Arc<Outbox>,
    messages: mpsc::Sender<S::Message>,
}

impl<S: RawSocket> RawHandle<S> {
    /// Sends a frame to the client. A client that reads too slowly is subject to the
    /// [`SlowConsumer`](crate::SlowConsumer) policy.
    pub fn push(&self, frame: Frame) {
        self.outbox
            .send(OutboundFrame::Own(frame), Urgency::MayDrop);
    }

    /// Sends a message to the socket's [`RawSocket::handle_info`].
    ///
    /// # Errors
    ///
    /// [`Error::MailboxFull`] or [`Error::ChannelEnded`].
    pub fn send(&self, message: S::Message) -> Result<(), Error> {
        self.messages
            .try_send(message)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Error::MailboxFull,
                mpsc::error::TrySendError::Closed(_) => Error::ChannelEnded,
            })
    }

    /// Ends the connection after the frames pushed so far.
    pub fn close(&self, close: Close) {
        self.outbox.close(close);
    }
}

impl<S: RawSocket> Clone for RawHandle<S> {
    fn clone(&self) -> Self {
        RawHandle {
            outbox: self.outbox.clone(),
            messages: self.messages.clone(),
        }
    }
}

impl<S: RawSocket> fmt::Debug for RawHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawHandle").finish_non_exhaustive()
    }
}

/// A [`RawSocket`] type with its options.
pub(crate) struct RawMount<S> {
    options: SocketOptions,
    socket: std::marker::PhantomData<fn() -> S>,
}

impl<S: RawSocket> RawMount<S> {
    pub(crate) fn new(options: SocketOptions) -> Self {
        RawMount {
            options,
            socket: std::marker::PhantomData,
        }
    }

    async fn open(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> Result<Connection, ConnectError> {
        let socket = S::connect(&request, &endpoint)
            .await
            .map_err(ConnectError::Refused)?;
        let outbox = Outbox::new(self.options.outbox(), endpoint.connections().outboxes());
        // One frame waits beside the one being handled; the others wait at the transport.
        let (frames, incoming) = mpsc::channel(1);
        let (messages, mailbox) = mpsc::channel(self.options.mailbox_messages);
        let over = Over::default();
        let handle = RawHandle {
            outbox: outbox.clone(),
            messages,
        };
        let task = Task {
            socket,
            handle,
            incoming,
            mailbox,
            over: over.clone(),
        };
        let registered = endpoint.register(&outbox)?;
        endpoint.tasks().spawn(Corked::new(&outbox, task.run()));
        let peer = RawPeer {
            frames: PollSender::new(frames),
            over,
        };
        Ok(Connection::new(Box::new(peer), outbox, registered))
    }
}

impl<S: RawSocket> Mount for RawMount<S> {
    fn connect(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(guarded(
            self.name(),
            request.info.transport,
            self.open(endpoint, request),
        ))
    }

    fn options(&self) -> &SocketOptions {
        &self.options
    }

    fn patterns(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<S>()
    }
}

/// An event from the transport to the socket's task.
enum Input {
    Frame(Frame),
    Control(Control),
}

/// Signals that the connection is gone, and why.
#[derive(Clone, Default)]
struct Over {
    reason: Arc<OnceLock<Reason>>,
    token: CancellationToken,
}

impl Over {
    fn because(&self, reason: Reason) {
        self.reason.get_or_init(|| reason);
        self.token.cancel();
    }
}

/// The transport's end of a raw socket.
struct RawPeer {
    frames: PollSender<Input>,
    over: Over,
}

impl ConnectionHandler for RawPeer {
    fn receive(&mut self, frame: Frame) -> Received {
        match self
            .frames
            .poll_reserve(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Pending => return Received::Full(frame),
            // The task is over; its close is on its way.
            Poll::Ready(Err(_)) => return Received::Taken,
            Poll::Ready(Ok(())) => {}
        }
        let _over = self.frames.send_item(Input::Frame(frame));
        Received::Taken
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.frames.poll_reserve(cx).map(|_| ())
    }

    fn control(&mut self, control: Control) {
        let room = self
            .frames
            .poll_reserve(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(Ok(())) = room {
            let _over = self.frames.send_item(Input::Control(control));
        }
    }

    fn drain(&mut self) {
        self.over.because(Reason::Draining);
    }
}

impl Drop for RawPeer {
    fn drop(&mut self) {
        self.over.because(Reason::Closed);
    }
}

/// The task of a raw socket.
struct Task<S: RawSocket> {
    socket: S,
    handle: RawHandle<S>,
    incoming: mpsc::Receiver<Input>,
    mailbox: mpsc::Receiver<S::Message>,
    over: Over,
}

impl<S: RawSocket> Task<S> {
    async fn run(self) {
        let (outbox, token) = (self.handle.outbox.clone(), self.over.token.clone());
        let overdue = async {
            token.cancelled().await;
            tokio::time::sleep(SHUTDOWN).await;
        };
        tokio::select! {
            served = AssertUnwindSafe(self.serve()).catch_unwind() => {
                if let Err(panic) = served {
                    telemetry::socket_panicked(std::any::type_name::<S>(), &*panic);
                    outbox.close(Close { code: 1011, reason: "the socket crashed".into() });
                }
            }
            () = overdue => tracing::warn!("a socket did not end in time and is dropped"),
        }
    }

    async fn serve(mut self) {
        let mut then = self.socket.init(&self.handle).await;
        let reason = loop {
            match then {
                Action::Continue => {}
                Action::Push(frame) => self
                    .handle
                    .outbox
                    .send(OutboundFrame::Own(frame), Urgency::MustSend),
                Action::Stop(close) => {
                    self.handle.outbox.close(close);
                    break Reason::Normal;
                }
            }
            then = tokio::select! {
                Some(input) = self.incoming.recv() => match input {
                    Input::Frame(frame) => self.socket.handle_in(frame, &self.handle).await,
                    Input::Control(control) => {
                        self.socket.handle_control(control, &self.handle).await
                    }
                },
                Some(message) = self.mailbox.recv() => {
                    self.socket.handle_info(message, &self.handle).await
                }
                () = self.over.token.cancelled() => {
                    break self.over.reason.get().cloned().unwrap_or(Reason::Closed);
                }
            };
        };
        self.incoming.close();
        self.mailbox.close();
        self.socket.terminate(reason).await;
    }
}
