//! The content of the log and of the metrics, and what they must never contain.
//!
//! A separate program: every test has a log, so that none can switch off the lines of another.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod log;
mod long_poll;
mod secrets;
// The other program uses the rest of these.
#[allow(dead_code)]
#[path = "../it/support/mod.rs"]
mod support;
mod telemetry;
