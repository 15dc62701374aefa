//! The crate from outside, as its users and their clients use it: one program, a module per
//! subject.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod broadcasts;
mod busy_server;
mod channel_ends;
mod connect;
mod join;
mod long_poll;
mod messages;
mod replies;
mod serve;
mod support;
mod transports;
mod upload_writers;
mod uploads;
mod websocket;
