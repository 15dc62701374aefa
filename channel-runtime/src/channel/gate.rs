//! What is asked before a handler runs.

use super::IntoRefusal;
use crate::protocol::Refusal;

/// Whether a message goes on to its handler: what a `#[before_handle_in]` or a `#[before_join]`
/// decides.
#[derive(Debug, Default)]
#[must_use = "a refusal has to reach the client"]
pub struct Gate(pub(super) Option<Refusal>);

impl Gate {
    /// It goes on.
    pub const PASS: Gate = Gate(None);

    /// Returns whether it does not go on.
    pub fn is_refused(&self) -> bool {
        self.0.is_some()
    }
}

/// What a `#[before_handle_in]` or a `#[before_join]` can return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether the client may go on",
    label = "not the outcome of a gate",
    note = "return `Result<(), Refusal>`, or a `Result<(), E>` whose error is `Into<Refusal>`"
)]
pub trait IntoGate {
    /// Makes the outcome.
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
