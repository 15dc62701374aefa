//! Who is let in, over a real server: origins, subprotocols, auth tokens, paths, limits, floods.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

mod options;
mod refusals;
mod server;
