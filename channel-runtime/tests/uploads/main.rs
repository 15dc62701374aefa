//! Uploads, from a client's choice of files to the handler that keeps them.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

mod ahead;
mod album;
mod allow;
mod chunks;
mod ends;
mod external;
mod finished;
mod given_up;
mod handlers;
mod hostile;
mod isolation;
mod open;
mod page;
mod resume;
mod timers;
mod transports;
