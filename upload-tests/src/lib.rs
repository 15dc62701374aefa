//! An S3 server in this process whose requests can be observed, held and refused; and uploads
//! without a client.
#![allow(clippy::unwrap_used)]

mod client;
mod parts;
mod server;
mod upload;

pub use self::{
    client::store,
    parts::Recorder,
    server::{Fault, Matches, Request, Server},
    upload::{entry, pattern, until, upload, write},
};
