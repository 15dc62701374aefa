//! Decides if a message reaches its handler.

use super::IntoRefusal;
use crate::protocol::Refusal;

/// The decision of a `#[before_handle_in]` or a `#[before_join]`: the message passes to its
/// handler, or is refused.
#[derive(Debug, Default)]
#[must_use = "a refusal has to reach the client"]
pub struct Gate(pub(super) Option<Refusal>);

impl Gate {
    /// The message passes.
    pub const PASS: Gate = Gate(None);

    /// Returns true if the message is refused.
    pub fn is_refused(&self) -> bool {
        self.0.is_some()
    }
}

/// A value that a `#[before_handle_in]` or a `#[before_join]` can return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether the client may go on",
    label = "not the outcome of a gate",
    note = "return `Result<(), Refusal>`, or a `Result<(), E>` whose error is `Into<Refusal>`"
)]
pub trait IntoGate {
    /// Converts the value.
    fn into_gate(self) -> Gate;
}

impl IntoGate for () {
    fn into_gate(self) -> Gate {
        Gate::PASS
    }
}

impl<E: IntoRefusal> IntoGate for Result<(), E> {
    fn into_gate(self) -> Gate {
        Gate(self.err().map(IntoRefusal::into_refusal))
    }
}
