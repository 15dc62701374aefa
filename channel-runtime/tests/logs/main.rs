//! What is logged and counted, and what never is.
//!
//! A program of its own: every test has a log, so that none can switch off the lines of another.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

mod log;
mod long_poll;
mod secrets;
// The other program uses the rest of these.
#[allow(dead_code)]
#[path = "../it/support/mod.rs"]
mod support;
mod telemetry;
