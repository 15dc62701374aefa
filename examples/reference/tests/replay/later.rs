//! The scenarios of sockets that the reference room does not offer yet.

use crate::{Outcome, recording::Scenario};

/// Why they are left out.
pub(crate) const REASON: &str = "their sockets come later";

/// Each by its name, with what it waits for.
const LATER: [(&str, &str); 21] = [
    (
        "connect: denied with reason, custom error_handler",
        "an error handler",
    ),
    (
        "connect: denied, custom error_handler but :error",
        "an error handler",
    ),
    ("connect: origin allowed", "the origin check"),
    ("connect: origin other scheme", "the origin check"),
    ("connect: origin other port", "the origin check"),
    ("connect: origin missing", "the origin check"),
    ("connect: origin wildcard apex", "the origin check"),
    ("connect: origin wildcard suffix trick", "the origin check"),
    ("connect: origin port match any scheme", "the origin check"),
    ("connect: origin port mismatch", "the origin check"),
    ("connect: origin null", "the origin check"),
    (
        "connect: origin true, url host localhost",
        "the origin check",
    ),
    ("connect: origin true, other host", "the origin check"),
    ("connect: origin conn same", "the origin check"),
    ("connect: origin conn other port", "the origin check"),
    ("connect: origin uppercase host", "the origin check"),
    ("connect: subprotocol match", "subprotocols"),
    ("connect: subprotocol mismatch", "subprotocols"),
    ("connect: subprotocol absent", "subprotocols"),
    (
        "connect: auth_token without phoenix subprotocol",
        "auth tokens",
    ),
    ("connect: auth_token bad base64", "auth tokens"),
];

/// Takes them out; how many there were, and the rest.
pub(crate) fn take(scenarios: Vec<Scenario>) -> Outcome<(usize, Vec<Scenario>)> {
    let is_later = |scenario: &Scenario| LATER.iter().any(|(name, _)| *name == scenario.name);
    let (later, rest): (Vec<_>, Vec<_>) = scenarios.into_iter().partition(is_later);
    match LATER
        .iter()
        .find(|(name, _)| later.iter().all(|scenario| scenario.name != *name))
    {
        Some((name, what)) => Err(format!("{name:?}, which waits for {what}, is not recorded")),
        None => Ok((later.len(), rest)),
    }
}
