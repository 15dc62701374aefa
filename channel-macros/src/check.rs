//! What cannot work, one function a rule.

use crate::diagnostics::say;

/// A name that the wire cannot carry.
pub(crate) fn event_name(name: &str) -> Option<String> {
    match name {
        "" => Some(say::event_empty()),
        name if name.starts_with("phx_") => Some(say::event_reserved(name)),
        name if name.len() > 255 => Some(say::event_long()),
        _ => None,
    }
}
