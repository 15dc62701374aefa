//! Uploads, from a client's choice of files to the handler that keeps them.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

mod album;
mod allow;
mod chunks;
mod external;
mod finished;
mod handlers;
mod isolation;
mod page;
mod resume;
mod timers;
mod transports;
