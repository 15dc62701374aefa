//! Several nodes over real engines: what holds, and what clients see when something breaks.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod contract;
mod faults;
mod long_poll;
mod nginx;
mod tls;
