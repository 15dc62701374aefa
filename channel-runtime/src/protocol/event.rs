//! Events: named, typed messages to clients.

use super::{Binary, EncodeError, FromPayload, Payload, PayloadError};

/// A message to clients: a type with a name on the wire.
///
/// Derive it. `#[event("name")]` serializes the value as JSON; `#[event("name", binary)]` on a
/// tuple struct of [`bytes::Bytes`] or [`Binary`] sends a binary frame.
///
/// ```
/// use channel_runtime::{Event, prelude::*};
/// use serde::Serialize;
///
/// #[derive(Serialize, Event)]
/// #[event("new_msg")]
/// struct NewMsg { body: String }
///
/// assert_eq!(NewMsg::NAME, "new_msg");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "events are types: `#[derive(Serialize, Event)] #[event(\"name\")]`"
)]
pub trait Event: Send + Sync {
    /// The event's name on the wire, at most 255 bytes.
    const NAME: &'static str;

    /// Returns the payload that clients receive.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`] when the value cannot be serialized as JSON.
    fn to_payload(&self) -> Result<Payload, EncodeError>;
}

/// An [`Event`] whose payload is JSON, which a request to a client needs, since only a JSON push
/// has a ref. `#[derive(Event)]` implements it for every event that is not `binary`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot ask a client: it is a binary event, and a binary push has no ref",
    label = "not a JSON event",
    note = "a request is answered by its ref: derive `Event` without `binary`"
)]
pub trait JsonEvent: Event {}

/// A type that a `#[handle_out]` handler can take: an [`Event`] that can be decoded again, a raw
/// [`Payload`], or [`Binary`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken by a `handle_out` handler",
    label = "not an event that can be decoded",
    note = "derive `Event` and `serde::Deserialize` for it, or take `Payload` or `Binary`"
)]
pub trait Intercepted: Sized {
    /// The event of this type; `None` if it takes any.
    const EVENT: Option<&'static str>;

    /// Decodes the broadcast's payload.
    ///
    /// # Errors
    ///
    /// A [`PayloadError`]; the broadcast is then logged and not delivered to this channel.
    fn from_broadcast(payload: Payload) -> Result<Self, PayloadError>;
}

#[diagnostic::do_not_recommend]
impl<T: Event + FromPayload> Intercepted for T {
    const EVENT: Option<&'static str> = Some(T::NAME);

    fn from_broadcast(payload: Payload) -> Result<Self, PayloadError> {
        T::from_payload(payload)
    }
}

impl Intercepted for Payload {
    const EVENT: Option<&'static str> = None;

    fn from_broadcast(payload: Payload) -> Result<Self, PayloadError> {
        Ok(payload)
    }
}

impl Intercepted for Binary {
    const EVENT: Option<&'static str> = None;

    fn from_broadcast(payload: Payload) -> Result<Self, PayloadError> {
        Binary::from_payload(payload)
    }
}

impl Intercepted for serde_json::Value {
    const EVENT: Option<&'static str> = None;

    fn from_broadcast(payload: Payload) -> Result<Self, PayloadError> {
        payload.decode()
    }
}
