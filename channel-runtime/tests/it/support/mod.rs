//! Servers, nodes and clients that tests of several subjects share.

pub(crate) mod hub;
pub(crate) mod poll_client;
pub(crate) mod polled_room;
pub(crate) mod server;
