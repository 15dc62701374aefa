use garde::Validate;
use serde::de::DeserializeOwned;

use super::{FromPayload, Payload, PayloadError};

/// A payload validated with [`garde`], as a parameter of a handler.
///
/// ```
/// use channel_runtime::{Valid, prelude::*};
/// use garde::Validate;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, Validate)]
/// struct Post {
///     #[garde(length(min = 1, max = 280))]
///     body: String,
/// }
///
/// # pub struct Room;
/// # #[channel("room:*")]
/// # impl Room {
/// # #[join] fn join() -> Self { Room }
/// #[handle_in("post")]
/// fn post(&mut self, Valid(post): Valid<Post>) -> Reply<usize> {
///     Ok(post.body.len())
/// }
/// # }
/// ```
///
/// A payload that breaks a rule is refused like one that does not match the type: the reason is
/// `invalid payload`, and `errors` has each invalid field with a message, 100 at most. The names
/// are those of the Rust fields. Works in a `#[join]` too, and for the answer of a
/// [request](crate::Socket::request). Needs the feature `garde`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Valid<T>(pub T);

impl<T: DeserializeOwned + Validate<Context: Default>> FromPayload for Valid<T> {
    fn from_payload(payload: Payload) -> Result<Self, PayloadError> {
        let value: T = payload.decode()?;
        match value.validate() {
            Ok(()) => Ok(Valid(value)),
            Err(report) => Err(PayloadError::fields(
                report
                    .iter()
                    .map(|(path, error)| (path.to_string(), error.to_string())),
            )),
        }
    }
}
