//! The long-poll transport: in memory, where time can be stopped, and over real connections.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

mod admission;
mod bodies;
mod bursts;
mod client;
mod ends;
mod hub;
mod network;
mod nodes;
mod nonsense;
mod raw;
mod room;
mod sessions;
mod times;
mod tokens;
