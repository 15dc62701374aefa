//! The macros of `channel-runtime`, which re-exports them: `#[channel]`, `#[socket]` and
//! `#[derive(Event)]`.
//!
//! The stages are those of a small compiler: the arguments and the block are parsed (`args`,
//! `block`), understood (`model`), checked (`check`) and turned into code (`expand`). The block
//! itself is emitted first and unchanged, except for this crate's attributes; its errors are
//! reported next to it, all at once.

mod args;
mod block;
mod check;
mod diagnostics;
mod event;
mod expand;
mod fallback;
mod model;
mod pattern;
mod role;
#[cfg(test)]
mod tests;
mod types;

use proc_macro::TokenStream;
use quote::quote;

use crate::{
    args::{ChannelArgs, SocketArgs},
    block::Block,
    diagnostics::{Diagnostics, say},
    model::Target,
};

/// Makes the type of an impl block a channel: implements `Channel` and the related traits from the
/// methods that have a role.
///
/// ```
/// use channel_runtime::prelude::*;
///
/// pub struct Room {
///     name: String,
/// }
///
/// #[channel("room:*")]
/// impl Room {
///     #[join("room:{name}")]
///     fn join(name: String) -> Self {
///         Room { name }
///     }
///
///     #[handle_in("shout")]
///     async fn shout(&mut self, text: String) -> Reply<String> {
///         if text.is_empty() {
///             return Err(Refusal::new("empty"));
///         }
///         Ok(format!("{}: {}", self.name, text.to_uppercase()))
///     }
/// }
/// ```
///
/// The methods stay as they are: they can be called, tested and documented like any other.
///
/// # Arguments
///
/// - The topic patterns, one or more string literals. A `*` at the end of one matches every topic
///   that starts with the text before it.
/// - `socket = UserSocket`: the socket the channel belongs to, lent to its handlers as
///   `&UserSocket`. Without it the channel belongs to every socket.
/// - `shared = Board`: what the channels of a topic share on this node, lent as `&Shared<Board>`; a
///   `LoadShared` makes it when the first of them joins, and it is dropped with the last.
/// - `intercept = ["event"]`: the broadcasts that go to `#[handle_out]` instead of to the client.
/// - `pushes = [Type]`: the events that the channel pushes and broadcasts.
/// - `proofs = [Admin]`: the proofs that a `#[handle_in]` may demand of its client by borrowing
///   them: types that implement `Proof`.
/// - `rate_limit(per_second = 5, burst = 10)`: how many messages of the channel a client may send,
///   over all its topics. The rate is `per_second`, `per_minute` or `per_hour`; `burst` is the
///   number that may arrive at once, equal to the rate by default. With `by = user`, the
///   connections of this node whose socket has the same `#[id]` are counted together. May be
///   repeated. A message over the limit gets the reason `rate limited`, and `retry_after_ms`.
/// - `log_join = info` and `log_handle_in = debug`: the levels of the log lines; or `off`.
/// - `hibernate_after = 15s`: the time without a message after which spare memory is freed; or
///   `off`.
/// - `shutdown = 5s`: the time the channel may take to end. A time is a whole number with its unit,
///   `ms` or `s`.
/// - `crate = path`: the path of the runtime crate, if it is not `::channel_runtime`.
///
/// # Roles
///
/// [`before_join`](macro@before_join), [`join`](macro@join),
/// [`before_handle_in`](macro@before_handle_in), [`handle_in`](macro@handle_in),
/// [`handle_out`](macro@handle_out), [`handle_info`](macro@handle_info),
/// [`handle_cast`](macro@handle_cast), [`handle_call`](macro@handle_call) and
/// [`terminate`](macro@terminate); for uploads [`allow_upload`](macro@allow_upload),
/// [`validate_upload`](macro@validate_upload), [`handle_upload`](macro@handle_upload) and
/// [`handle_progress`](macro@handle_progress). They need no import.
///
/// # Parameters
///
/// A by-value parameter is the message, or the capture of the topic's pattern under its name. A
/// `&T` is lent by the runtime according to its type: `&Topic`, `&ChannelRef<Self>`, `&Endpoint`,
/// `&ConnectInfo`, the socket and the state it names everywhere, `&Socket<Self>` after the join,
/// `&str` for the name of the event in a `#[handle_in]` without an event. Their order does not
/// matter.
#[proc_macro_attribute]
pub fn channel(arguments: TokenStream, item: TokenStream) -> TokenStream {
    channel_block(arguments.into(), item.into()).into()
}

/// Makes the type of an impl block a socket: the type that a client connects to, with the channels
/// it can join.
///
/// ```
/// use channel_runtime::prelude::*;
/// # pub struct Room;
/// # #[channel("room:*", socket = UserSocket)]
/// # impl Room { #[join] fn join() -> Self { Room } }
///
/// pub struct UserSocket {
///     name: String,
/// }
///
/// #[socket(channels = [Room])]
/// impl UserSocket {
///     #[connect]
///     async fn connect(params: Params) -> Option<Self> {
///         Some(UserSocket { name: params.get("name")? })
///     }
///
///     #[id]
///     fn id(&self) -> String {
///         format!("users:{}", self.name)
///     }
/// }
/// ```
///
/// # Arguments
///
/// - `channels = [Room, Lobby]`: the channels, in the order in which their topics are tried. A
///   channel that is never reached, because earlier ones take all its topics, does not compile.
/// - `state = App`: the application's state, lent as `&App` to `#[connect]` and to the handlers of
///   the channels that name this socket. `Endpoint::builder()….with_state(app)` provides it.
/// - `crate = path`: the path of the runtime crate, if it is not `::channel_runtime`.
///
/// # Roles
///
/// [`connect`](macro@connect) and [`id`](macro@id).
#[proc_macro_attribute]
pub fn socket(arguments: TokenStream, item: TokenStream) -> TokenStream {
    socket_block(arguments.into(), item.into()).into()
}

/// Makes a type an event: a message to clients, with its name on the wire.
///
/// ```
/// use channel_runtime::prelude::*;
/// use serde::Serialize;
///
/// #[derive(Serialize, Event)]
/// #[event("new_msg")]
/// struct NewMsg {
///     body: String,
/// }
///
/// #[derive(Event)]
/// #[event("chunk", binary)]
/// struct Chunk(Bytes);
///
/// assert_eq!(NewMsg::NAME, "new_msg");
/// ```
///
/// A JSON event is serialized with `Serialize`. A `binary` one is a tuple struct of one field,
/// `Bytes`, `Binary` or `Vec<u8>`; handlers can take it as well. `crate = path` is the path of the
/// runtime crate, if it is not `::channel_runtime`.
#[proc_macro_derive(Event, attributes(event))]
pub fn event(input: TokenStream) -> TokenStream {
    event::derive(input.into()).into()
}

type Tokens = proc_macro2::TokenStream;

fn channel_block(arguments: Tokens, item: Tokens) -> Tokens {
    expanded("channel", item, |diagnostics| {
        let args = ChannelArgs::parse(arguments, diagnostics);
        move |target: &Target<'_>, diagnostics: &mut Diagnostics| {
            check::channel(target, &args, diagnostics);
            expand::channel(target, &args)
        }
    })
}

fn socket_block(arguments: Tokens, item: Tokens) -> Tokens {
    expanded("socket", item, |diagnostics| {
        let args = SocketArgs::parse(arguments, diagnostics);
        move |target: &Target<'_>, diagnostics: &mut Diagnostics| {
            check::socket(target, &args, diagnostics);
            expand::socket(target, &args)
        }
    })
}

/// Returns the item first, then its generated code, then all errors.
fn expanded<F>(
    attribute: &'static str,
    item: Tokens,
    read: impl FnOnce(&mut Diagnostics) -> F,
) -> Tokens
where
    F: FnOnce(&Target<'_>, &mut Diagnostics) -> Tokens,
{
    let mut diagnostics = Diagnostics::default();
    let generate = read(&mut diagnostics);
    let Some(block) = Block::parse(attribute, item.clone(), &mut diagnostics) else {
        let (item, errors) = (fallback::without_roles(item), diagnostics.into_tokens());
        return quote!(#item #errors);
    };
    let target = Target::of(&block, attribute, &mut diagnostics);
    let generated = target.map(|target| generate(&target, &mut diagnostics));
    let errors = diagnostics.into_tokens();
    quote!(#block #generated #errors)
}

/// Expands a method's attribute outside of its block: the method, and an error about the block.
fn outside_of_block(role: &str, block: &str, item: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let message = say::outside_of_block(role, block);
    diagnostics.at(proc_macro2::Span::call_site(), message);
    let (item, errors) = (Tokens::from(item), diagnostics.into_tokens());
    quote!(#item #errors).into()
}

/// Creates the channel for a client that joins, or refuses the client.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # pub struct Room { id: u32 }
/// # #[channel("room:*")]
/// # impl Room {
/// #[join("room:{id}")]
/// async fn join(id: u32, password: String) -> Result<Self, Refusal> {
///     match password.as_str() {
///         "open sesame" => Ok(Room { id }),
///         _ => Err(Refusal::new("password")),
///     }
/// }
/// # }
/// ```
///
/// `#[join("pattern")]` takes the topics that match the pattern, `#[join]` all remaining ones. The
/// patterns are tried in source order. `{name}` captures the text up to the next literal of the
/// pattern, or the rest if it is the last, and passes it to the parameter of that name, whose type
/// parses it with `FromStr`; text that cannot be parsed refuses the client. A `*` at the end
/// captures nothing.
///
/// There is no `self` and no `&Socket<Self>` yet, so nothing can be pushed before the client has
/// joined; the channel can send a message to itself through `&ChannelRef<Self>`.
///
/// Returns `Self`, `(Self, response)`, or a `Result` of one of them.
#[proc_macro_attribute]
pub fn join(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("join", "channel", method)
}

/// Decides whether a client may join, before its payload is read and before any `#[join]` runs.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # pub struct Room;
/// # #[channel("room:*")]
/// # impl Room {
/// # #[join] fn join() -> Self { Room }
/// #[before_join]
/// fn may_join(topic: &Topic) -> Result<(), Refusal> {
///     match topic.as_str() == "room:closed" {
///         true => Err(Refusal::new("closed")),
///         false => Ok(()),
///     }
/// }
/// # }
/// ```
///
/// Owns nothing, and borrows the same types as a `#[join]`. May be async. Several gates are called
/// in source order, and the client gets the first refusal.
///
/// Returns `Result<(), Refusal>`, or a `Result` whose error is `Into<Refusal>`.
#[proc_macro_attribute]
pub fn before_join(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("before_join", "channel", method)
}

/// Decides whether a client's message is passed on to its `#[handle_in]`, before its payload is
/// read.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # pub struct Room { archived: bool }
/// # #[channel("room:*")]
/// # impl Room {
/// # #[join] fn join() -> Self { Room { archived: true } }
/// #[before_handle_in]
/// fn is_open(&self, event: &str) -> Result<(), Refusal> {
///     match self.archived && event != "read" {
///         true => Err(Refusal::new("archived")),
///         false => Ok(()),
///     }
/// }
/// # }
/// ```
///
/// Owns nothing, and borrows the channel, the event's name as `&str`, and the same types as a
/// `#[handle_in]`. May be async. Several gates are called in source order, and the client gets the
/// first refusal. They see all messages of the client, including those of uploads and those without
/// a handler; a message over a `rate_limit` is refused before. The closest equivalent in Phoenix is
/// LiveView's `attach_hook(socket, name, :handle_event, fun)`.
///
/// Returns `Result<(), Refusal>`, or a `Result` whose error is `Into<Refusal>`.
#[proc_macro_attribute]
pub fn before_handle_in(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("before_handle_in", "channel", method)
}

/// Handles a client's message.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # pub struct Room;
/// # #[channel("room:*")]
/// # impl Room {
/// # #[join] fn join() -> Self { Room }
/// #[handle_in("add")]
/// fn add(&mut self, (left, right): (i64, i64)) -> Reply<i64> {
///     left.checked_add(right).ok_or_else(|| Refusal::new("too large"))
/// }
/// # }
/// ```
///
/// `#[handle_in("event")]` takes one event, `#[handle_in]` every other one. `#[handle_in("event",
/// rate_limit(per_second = 1))]` limits how often each client may send it, with the same options as
/// in [`channel`](macro@channel). The by-value parameter is decoded from the payload; an invalid
/// payload is refused before the method runs.
///
/// Returns `()` for no reply, a `Reply` or another `Result`, a `Status`, a `Stop` or an `Answer`.
/// With `Reply<T, InternalError>`, `?` converts any error, and the client is told only
/// `internal error`. A method that takes a `SocketRef` answers later, through it, and returns `()`
/// or `Stop`.
#[proc_macro_attribute]
pub fn handle_in(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_in", "channel", method)
}

/// Handles an intercepted broadcast: decides whether, and how, this client gets it.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Event)]
/// # #[event("new_msg")]
/// # pub struct NewMsg { from: u64 }
/// # pub struct Room { muted: u64 }
/// # #[channel("room:*", intercept = ["new_msg"], pushes = [NewMsg])]
/// # impl Room {
/// # #[join] fn join() -> Self { Room { muted: 7 } }
/// #[handle_out("new_msg")]
/// fn deliver(&mut self, msg: NewMsg, socket: &Socket<Self>) -> Result<(), Error> {
///     if msg.from == self.muted {
///         return Ok(());
///     }
///     socket.push(&msg)
/// }
/// # }
/// ```
///
/// The event must be listed: `#[channel("room:*", intercept = ["new_msg"])]`. The by-value
/// parameter is the event's type, `Payload` or `Binary`; it may be left out.
///
/// Returns `()`, `Stop`, an `Option` of one, or a `Result` whose error ends the channel.
#[proc_macro_attribute]
pub fn handle_out(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_out", "channel", method)
}

/// Handles a message from server code, sent with `ChannelRef::send` or by a timer.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # use std::time::Duration;
/// # pub struct Tick;
/// # pub struct Clock { ticks: u32 }
/// # #[channel("clock:*")]
/// # impl Clock {
/// #[join]
/// fn join(me: &ChannelRef<Self>) -> Self {
///     me.send_after(Duration::from_secs(1), Tick);
///     Clock { ticks: 0 }
/// }
///
/// #[handle_info]
/// fn tick(&mut self, _: Tick) {
///     self.ticks += 1;
/// }
/// # }
/// ```
///
/// The by-value parameter is the message: its type selects the method. Broadcasts of topics
/// subscribed to with `Socket::subscribe` arrive as `Broadcast`.
///
/// Returns `()`, `Stop`, an `Option` of one, or a `Result` whose error ends the channel.
#[proc_macro_attribute]
pub fn handle_info(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_info", "channel", method)
}

/// Handles a message whose sender waits for the result, sent with `ChannelRef::call`.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # pub struct Count;
/// # pub struct Room { members: Vec<u64> }
/// # #[channel("room:*")]
/// # impl Room {
/// # #[join] fn join() -> Self { Room { members: Vec::new() } }
/// #[handle_call]
/// fn count(&self, _: Count) -> usize {
///     self.members.len()
/// }
/// # }
/// ```
///
/// The by-value parameter is the message. What the method returns is what the sender gets, unless
/// it takes a `Caller<T>` as well: then it answers through that, at any time, and returns what a
/// `#[handle_info]` does. A `Caller` under another name stands behind the message.
#[proc_macro_attribute]
pub fn handle_call(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_call", "channel", method)
}

/// Handles a message from server code, sent with `ChannelRef::cast`, which reports whether it could
/// be queued. Otherwise as [`handle_info`](macro@handle_info).
#[proc_macro_attribute]
pub fn handle_cast(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_cast", "channel", method)
}

/// Runs last, unless the channel crashed.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # pub struct Room { name: String }
/// # #[channel("room:*")]
/// # impl Room {
/// # #[join] fn join() -> Self { Room { name: String::new() } }
/// #[terminate]
/// async fn bye(self, reason: Reason) {
///     println!("{} ended: {reason:?}", self.name);
/// }
/// # }
/// ```
///
/// May take `self`, and the `Reason` by value. Returns nothing.
#[proc_macro_attribute]
pub fn terminate(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("terminate", "channel", method)
}

#[doc = include_str!("docs/allow_upload.md")]
#[proc_macro_attribute]
pub fn allow_upload(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("allow_upload", "channel", method)
}

#[doc = include_str!("docs/validate_upload.md")]
#[proc_macro_attribute]
pub fn validate_upload(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("validate_upload", "channel", method)
}

#[doc = include_str!("docs/handle_upload.md")]
#[proc_macro_attribute]
pub fn handle_upload(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_upload", "channel", method)
}

#[doc = include_str!("docs/handle_progress.md")]
#[proc_macro_attribute]
pub fn handle_progress(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_progress", "channel", method)
}

/// Creates the socket for a client that connects, or refuses the client.
///
/// The by-value parameter is decoded from the parameters of the request; `&ConnectInfo`, `&Params`,
/// `&Extensions` and `&Endpoint` are lent.
///
/// Returns `Self`, an `Option<Self>`, or a `Result` whose error becomes a `Refusal`.
#[proc_macro_attribute]
pub fn connect(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("connect", "socket", method)
}

/// Names the connection, so that other code can end it.
///
/// Takes `&self` and returns `String`, `&str`, or an `Option` of one: `None` for a connection
/// without a name.
#[proc_macro_attribute]
pub fn id(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("id", "socket", method)
}
