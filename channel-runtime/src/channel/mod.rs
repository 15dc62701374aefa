//! Channels: the traits that `#[channel]` implements, and the actor that runs them.

mod answer;
mod call;
mod context;
mod extension;
mod gate;
mod handle;
mod handler_future;
mod join;
mod mailbox;
mod options;
mod owned;
mod proof;
mod push_stream;
mod rate_limit;
mod reason;
mod reference;
mod request;
mod server;
mod shared;
mod socket;
mod telemetry;
mod timer;
mod topic;
mod view;

#[allow(unused_imports, reason = "used by extensions, each behind a feature")]
pub(crate) use self::call::{Contexts, ServerMessage};
use self::mailbox::Mailbox;
#[cfg(feature = "websocket")]
pub(crate) use self::telemetry::with_time_of_handlers;
pub use self::{
    answer::{Answer, IntoAnswer, IntoNoReply, IntoRefusal, IntoReply, NoReply, Reply, Status},
    call::{CallFor, Caller, CastFor, InfoFor},
    context::{
        Context, Given, Provide, ProvideBeforeJoin, ProvideElsewhere, ProvideGiven,
        ProvideToConnect, role,
    },
    extension::ChannelExtension,
    gate::{Gate, IntoGate},
    handler_future::HandlerFuture,
    join::{IntoJoin, Joined},
    options::ChannelOptions,
    owned::{
        FromMessage, FromPayloadElsewhere, FromReason, IntoAnswerLater, IntoAnswerWhen,
        OwnedCaller, When, same_kind,
    },
    proof::{Proof, Proven, Supply},
    push_stream::{IntoPush, PushStream},
    rate_limit::RateLimit,
    reason::{Reason, Stop},
    reference::SocketRef,
    request::{Request, RequestError},
    shared::{LoadShared, Loading, Shared, SharedPart},
    socket::{ChannelRef, PushedBy, Socket},
    timer::TimerRef,
    topic::{
        ChannelTopic, IntoChannelTopic, ReadsTopic, ToTopic, TypedTopic, WriteCapture, WritesTopic,
    },
    view::{ChannelOf, NoState, SocketView},
};
pub(crate) use self::{
    handle::{ChannelHandle, Predecessor},
    server::{Start, start},
    view::{Connected, SeenOf},
};
use crate::protocol::{Broadcast, Payload, PayloadError, Refusal};

/// A channel: the state of one client on one topic. `#[channel]` implements it; you may also do so
/// by hand.
///
/// A channel handles one message after the other; a channel that waits holds up no other channel.
/// Mirrors the `Phoenix.Channel` behaviour.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a channel",
    label = "not a channel",
    note = "annotate an impl block of it: `#[channel(\"topic:*\")] impl {Self} {{ … }}`"
)]
pub trait Channel: Sized + Send + 'static {
    /// The socket type that `#[channel(socket = …)]` names, or `()` without one.
    type Socket: SocketView;

    /// The part that the crate adds to the channel: `upload::UploadsExtension` if it takes files,
    /// `()` otherwise.
    type Extension: ChannelExtension<Self>;

    /// The state that the channels of a topic share on this node: a [`Shared`] if
    /// `#[channel(shared = …)]` names its type, `()` otherwise.
    type Shared: SharedPart<Self>;

    /// The type's name, for logs and metrics.
    const NAME: &'static str;

    /// The topic patterns. A `*` at the end matches any rest of a topic.
    const TOPICS: &'static [&'static str];

    /// The broadcast events that [`Channel::handle_out`] takes instead of the client.
    const INTERCEPTS: &'static [&'static str] = &[];

    /// Log levels and times.
    const OPTIONS: ChannelOptions = ChannelOptions::DEFAULT;

    /// The rate limits of client messages.
    const RATE_LIMITS: &'static [RateLimit] = &[];

    /// Decides if a client may join at all, before the payload is read.
    fn before_join<'a>(_cx: &'a Context<'a, Self, role::before_join>) -> HandlerFuture<'a, Gate> {
        HandlerFuture::ready(Gate::PASS)
    }

    /// Decides if a client's message reaches [`Channel::handle_in`].
    fn before_handle_in<'a>(
        &'a mut self,
        _cx: &'a Context<'a, Self, role::before_handle_in>,
    ) -> HandlerFuture<'a, Gate> {
        HandlerFuture::ready(Gate::PASS)
    }

    /// Creates the channel, or refuses. Mirrors `c:Phoenix.Channel.join/3`.
    ///
    /// # Errors
    ///
    /// The refusal of what its handler cannot be called with.
    fn join<'a>(
        cx: &'a Context<'a, Self, role::join>,
        payload: Payload,
    ) -> Result<HandlerFuture<'a, Joined<Self>>, Refusal>;

    /// Takes a client's message; without it, every event is unknown. Mirrors
    /// `c:Phoenix.Channel.handle_in/3`.
    ///
    /// # Errors
    ///
    /// The refusal of what its handler cannot be called with.
    fn handle_in<'a>(
        &'a mut self,
        cx: &'a Context<'a, Self, role::handle_in>,
        payload: Payload,
    ) -> Result<HandlerFuture<'a, Answer>, Refusal> {
        let _ = (cx, payload);
        Ok(HandlerFuture::ready(Answer::unknown_event()))
    }

    /// Takes an intercepted broadcast. Mirrors `c:Phoenix.Channel.handle_out/3`.
    ///
    /// # Errors
    ///
    /// That the payload is not what its handler takes; it is logged, and not delivered.
    fn handle_out<'a>(
        &'a mut self,
        cx: &'a Context<'a, Self, role::handle_out>,
        broadcast: &'a Broadcast,
    ) -> Result<HandlerFuture<'a, NoReply>, PayloadError> {
        let _ = (cx, broadcast);
        Ok(HandlerFuture::ready(NoReply::CONTINUE))
    }

    /// Runs last, unless the channel crashed. Mirrors `c:Phoenix.Channel.terminate/2`.
    fn terminate<'a>(
        self,
        cx: &'a Context<'a, Self, role::terminate>,
        reason: Reason,
    ) -> HandlerFuture<'a, ()> {
        let _ = (cx, reason);
        HandlerFuture::ready(())
    }
}
