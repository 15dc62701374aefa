//! Refusals of clients.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Binary, Payload, PayloadError};
use crate::telemetry::shown;

/// The reason a client's connect, join or push is refused: the payload of an error reply.
///
/// [`Refusal::new`] gives `{"reason": …}`. Implement `From<YourError> for Refusal` and `?` works
/// in every handler that answers a client. Mirrors Phoenix's `{:error, reason}`.
///
/// ```
/// use channel_runtime::Refusal;
///
/// let refusal = Refusal::new("too long").with("limit", 280);
/// assert_eq!(refusal.payload().as_json(), Some(r#"{"limit":280,"reason":"too long"}"#));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal(Shape);

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Fields(Map<String, Value>),
    Payload(Payload),
}

impl Refusal {
    /// Creates a refusal with the payload `{"reason": reason}`.
    pub fn new(reason: impl Into<String>) -> Self {
        Refusal(Shape::Fields(Map::from_iter([(
            "reason".to_owned(),
            reason.into().into(),
        )])))
    }

    /// Creates a refusal with the empty payload `{}`, as a bare `:error`.
    pub fn empty() -> Self {
        Refusal(Shape::Fields(Map::new()))
    }

    /// Creates a refusal with any value as its payload. If the value cannot be serialized, the
    /// error is logged and the client gets the reason `server error`.
    pub fn json<T: Serialize>(value: &T) -> Self {
        match Payload::json(value) {
            Ok(payload) => Refusal(Shape::Payload(payload)),
            Err(error) => {
                tracing::error!(error = %shown(&error), "a refusal cannot be JSON; the client gets \"server error\"");
                Refusal::new("server error")
            }
        }
    }

    /// Creates a refusal with binary data as its payload.
    pub fn binary(data: impl Into<Binary>) -> Self {
        Refusal(Shape::Payload(Payload::binary(data.into().0)))
    }

    /// Creates a refusal with any [`Payload`].
    pub fn raw(payload: Payload) -> Self {
        Refusal(Shape::Payload(payload))
    }

    /// Adds a field. No effect on a refusal made from a payload, whose shape the caller chose.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        if let Shape::Fields(fields) = &mut self.0 {
            fields.insert(field.into(), value.into());
        }
        self
    }

    /// Returns the `reason`, if it is text.
    pub fn reason(&self) -> Option<&str> {
        match &self.0 {
            Shape::Fields(fields) => fields.get("reason").and_then(Value::as_str),
            Shape::Payload(_) => None,
        }
    }

    /// Returns the payload that the client gets.
    pub fn payload(&self) -> Payload {
        match &self.0 {
            Shape::Payload(payload) => payload.clone(),
            // Text keys and JSON values always serialize; `{}` is a safe fallback.
            Shape::Fields(fields) => Payload::json(fields).unwrap_or_default(),
        }
    }
}

impl From<PayloadError> for Refusal {
    fn from(error: PayloadError) -> Self {
        tracing::debug!(error = %shown(&error), "a payload does not fit");
        let refusal = Refusal::new("invalid payload");
        let refusal = match error.field() {
            Some(field) => refusal.with("field", field),
            None => refusal,
        };
        let refusal = refusal.with("message", error.told());
        if error.broken().is_empty() {
            return refusal;
        }
        let errors = error.broken().iter().map(|(field, message)| {
            Value::from_iter([("field", field.as_str()), ("message", message.as_str())])
        });
        refusal.with("errors", Value::from_iter(errors))
    }
}
