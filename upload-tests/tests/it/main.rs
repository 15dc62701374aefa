//! Uploads into object stores, and what is left of those that break.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod s3;
mod stores;
