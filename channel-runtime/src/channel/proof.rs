//! Proofs, which a handler demands of its client by the type of a parameter.

use std::ops::Deref;

use super::{Channel, Provide, Socket};
use crate::protocol::Refusal;

/// A role or another proof that a `#[handle_in]` demands of its client by borrowing it.
///
/// The channel lists it, and only admins reach a handler that takes `&Admin`: other clients get the
/// refusal, before their payload is read.
///
/// ```
/// use channel_runtime::{Proof, prelude::*};
///
/// pub struct UserSocket { name: String }
///
/// # #[socket(channels = [RoomChannel])]
/// # impl UserSocket {
/// #     #[connect] fn connect() -> Self { UserSocket { name: "ada".into() } }
/// # }
/// /// Proves that the user is the room's owner.
/// pub struct Owner;
///
/// impl Proof<RoomChannel> for Owner {
///     fn prove(room: &RoomChannel, socket: &Socket<RoomChannel>) -> Result<Self, Refusal> {
///         match room.owner == socket.user().name {
///             true => Ok(Owner),
///             false => Err(Refusal::new("not the owner")),
///         }
///     }
/// }
///
/// pub struct RoomChannel { owner: String, open: bool }
///
/// #[channel("room:*", socket = UserSocket, proofs = [Owner])]
/// impl RoomChannel {
///     #[join]
///     fn join() -> Self { RoomChannel { owner: "ada".into(), open: true } }
///
///     #[handle_in("close")]
///     fn close(&mut self, _: &Owner) -> Reply {
///         self.open = false;
///         Ok(())
///     }
/// }
/// ```
///
/// A proof may carry its result, such as the user's rights. It is made for one message and dropped
/// after it. A check that must ask a database first belongs in the channel's state or in a
/// `#[before_handle_in]`, which may be async.
#[diagnostic::on_unimplemented(
    message = "`{Self}` proves nothing of a client of `{C}`",
    label = "not a proof",
    note = "implement `channel_runtime::Proof<{C}>` for it"
)]
pub trait Proof<C: Channel>: Sized + Send + Sync {
    /// Checks the client, by the channel's state and its socket.
    ///
    /// # Errors
    ///
    /// Returns the refusal that the client gets.
    fn prove(channel: &C, socket: &Socket<C>) -> Result<Self, Refusal>;
}

/// A value that a `#[handle_in]` of a channel with proofs borrows: a provided one, or a proof.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`&{T}` is not lent to a `{R}` handler",
    label = "not lent here",
    note = "`#[channel(…, proofs = [{T}])]` lists a proof, `#[channel(…, socket = {T})]` lends a socket; a message is taken by value: `{T}`"
)]
pub trait Supply<T: ?Sized, C, R> {
    /// A reference, or a value made for the call.
    type Loan<'l>: Deref<Target = T>
    where
        Self: 'l;

    /// Provides it, or refuses the client.
    fn supply(&self, channel: &C) -> Result<Self::Loan<'_>, Refusal>;
}

#[diagnostic::do_not_recommend]
impl<X: Provide<T, C, R>, T: ?Sized + 'static, C, R> Supply<T, C, R> for X {
    type Loan<'l>
        = &'l T
    where
        X: 'l;

    fn supply(&self, _: &C) -> Result<&T, Refusal> {
        Ok(self.provide())
    }
}

/// A proof for the time of one call.
#[doc(hidden)]
#[derive(Debug)]
pub struct Proven<T>(pub T);

impl<T> Deref for Proven<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
