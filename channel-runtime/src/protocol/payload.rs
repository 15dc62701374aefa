//! The payload of a message: JSON text or bytes.

use std::any::type_name;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{EncodeError, PayloadError};

/// The payload of a message: JSON, kept in its original text, or binary.
///
/// Cloning shares the bytes. JSON is decoded only when a handler takes a type, so forwarding a
/// payload costs no parsing and keeps every digit of its numbers. Mirrors Phoenix's `map |
/// {:binary, binary}`.
///
/// ```
/// use channel_runtime::Payload;
///
/// let payload = Payload::json(&serde_json::json!({"body": "hi"})).unwrap();
/// assert_eq!(payload.as_json(), Some(r#"{"body":"hi"}"#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Json(ByteString),
    Binary(Bytes),
}

impl Payload {
    /// Returns the empty object `{}`, which Phoenix sends when there is no payload.
    pub const fn empty() -> Self {
        Payload(Kind::Json(ByteString::from_static("{}")))
    }

    /// Serializes `value` as JSON; the unit value becomes `{}`, as in a bare `:ok` reply.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`] when the value cannot be serialized as JSON, such as a map whose keys
    /// are not text.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, EncodeError> {
        serde_json::to_string(value)
            .map(|text| Payload(Kind::Json(text.into())))
            .map_err(EncodeError::Json)
    }

    /// Wraps text that is already JSON.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`] when the text is not one JSON value.
    pub fn from_json_text(text: impl Into<ByteString>) -> Result<Self, EncodeError> {
        let text = text.into();
        serde_json::from_str::<&RawValue>(&text).map_err(EncodeError::Json)?;
        Ok(Payload(Kind::Json(text)))
    }

    /// Wraps text that a JSON parser has already checked.
    pub(crate) fn from_checked_json(text: ByteString) -> Self {
        Payload(Kind::Json(text))
    }

    /// Wraps bytes, which reach the client as a binary frame.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Payload(Kind::Binary(bytes.into()))
    }

    /// Returns the JSON text, or `None` for a binary payload.
    pub fn as_json(&self) -> Option<&str> {
        match &self.0 {
            Kind::Json(text) => Some(text),
            Kind::Binary(_) => None,
        }
    }

    /// Returns the bytes of a binary payload, or `None` for JSON.
    pub fn as_binary(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Json(_) => None,
            Kind::Binary(bytes) => Some(bytes),
        }
    }

    /// Decodes JSON into `T`.
    ///
    /// # Errors
    ///
    /// A [`PayloadError`] that names the invalid field, or says that the payload is binary.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        self.decode_borrowed()
    }

    /// As [`Payload::decode`], for a value that borrows from the text.
    pub(crate) fn decode_borrowed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, PayloadError> {
        let text = self.as_json().ok_or_else(PayloadError::not_json)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let field = error.path().to_string();
            PayloadError::at(field, error.into_inner().to_string())
        })
    }

    /// Returns the number of bytes of the JSON text or the binary data.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Json(text) => text.len(),
            Kind::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns true if there are no bytes at all; JSON always has some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`Payload::json`], with `()` as `{}`.
    pub(crate) fn reply<T: Serialize>(value: &T) -> Result<Self, EncodeError> {
        // A reply may borrow, so it has no `TypeId`. No other type has the name of `()`.
        if size_of::<T>() == 0 && type_name::<T>() == type_name::<()>() {
            return Ok(Payload::empty());
        }
        Payload::json(value)
    }
}

impl Default for Payload {
    fn default() -> Self {
        Payload::empty()
    }
}

/// Binary data as a handler's message or reply.
///
/// ```
/// # use channel_runtime::prelude::*;
/// # pub struct Files;
/// #[channel("files:*")]
/// impl Files {
///     #[join]
///     fn join() -> Self { Files }
///
///     #[handle_in("file_chunk")]
///     fn chunk(&mut self, chunk: Binary) -> Reply<Binary> {
///         Ok(chunk)
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Binary(pub Bytes);

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Into<Bytes>> From<T> for Binary {
    fn from(bytes: T) -> Self {
        Binary(bytes.into())
    }
}

/// A type that a handler takes by value, decoded from a client's payload.
///
/// Every `Deserialize` type reads JSON, [`Binary`] takes binary data, and [`Payload`] takes either.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be decoded from a client payload",
    label = "not a payload",
    note = "derive `serde::Deserialize` for it, or take `Binary` or `Payload`"
)]
pub trait FromPayload: Sized {
    /// Decodes the payload.
    ///
    /// # Errors
    ///
    /// A [`PayloadError`], which the client gets as an error reply.
    fn from_payload(payload: Payload) -> Result<Self, PayloadError>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> FromPayload for T {
    fn from_payload(payload: Payload) -> Result<Self, PayloadError> {
        payload.decode()
    }
}

/// As [`FromPayload`], for a type whose name is that of an axum extractor.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is an extractor, but a handler is given a client's payload and no request",
    label = "not a payload",
    note = "take the payload's type itself; application state is kept in the socket, which is lent: `&UserSocket`"
)]
pub trait FromPayloadItself: Sized {
    /// Decodes the payload.
    fn itself(payload: Payload) -> Result<Self, PayloadError>;
}

#[diagnostic::do_not_recommend]
impl<T: FromPayload> FromPayloadItself for T {
    fn itself(payload: Payload) -> Result<Self, PayloadError> {
        T::from_payload(payload)
    }
}

impl FromPayload for Payload {
    fn from_payload(payload: Payload) -> Result<Self, PayloadError> {
        Ok(payload)
    }
}

impl FromPayload for Binary {
    fn from_payload(payload: Payload) -> Result<Self, PayloadError> {
        match payload.0 {
            Kind::Binary(bytes) => Ok(Binary(bytes)),
            Kind::Json(_) => Err(PayloadError::not_binary()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Post {
        #[allow(dead_code)]
        body: Body,
    }

    #[derive(Debug, Deserialize)]
    struct Body {
        #[allow(dead_code)]
        text: String,
    }

    #[test]
    fn unit_becomes_an_empty_object_only_as_a_reply() {
        assert_eq!(Payload::reply(&()).unwrap(), Payload::empty());
        assert_eq!(Payload::json(&()).unwrap().as_json(), Some("null"));
        assert_eq!(Payload::reply(&None::<u8>).unwrap().as_json(), Some("null"));
    }

    #[test]
    fn a_payload_that_does_not_fit_names_the_field() {
        let payload = Payload::from_json_text(r#"{"body":{"text":3}}"#).unwrap();
        let error = payload.decode::<Post>().unwrap_err();
        assert_eq!(error.field(), Some("body.text"));
        assert!(error.to_string().contains("expected a string"), "{error}");
    }

    #[test]
    fn a_missing_field_is_named_with_its_path() {
        let error = Payload::empty().decode::<Post>().unwrap_err();
        assert_eq!(error.field(), Some("body"));
        let payload = Payload::from_json_text(r#"{"body":{}}"#).unwrap();
        assert_eq!(
            payload.decode::<Post>().unwrap_err().field(),
            Some("body.text")
        );
    }

    #[test]
    fn json_and_binary_are_not_taken_for_each_other() {
        assert!(Binary::from_payload(Payload::empty()).is_err());
        assert!(
            Payload::binary(vec![1])
                .decode::<serde_json::Value>()
                .is_err()
        );
    }
}
