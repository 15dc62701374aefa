//! The long-poll transport: a connection made of HTTP requests, for clients that cannot open a
//! WebSocket.
//!
//! ```text
//! GET                 no session yet: one is opened    {"status": 410, "token": T, "messages": []}
//! GET, with T         waits for messages               {"status": 200, "token": T, "messages": [ … ]}
//!                     none in time                     {"status": 204, …}
//! POST, with T        one text frame, or many          {"status": 200}
//! ```
//!
//! A session is a task that owns a [`Connection`](crate::connection::Connection), with an entry in
//! its node's [`Sessions`], where the requests of its client find it on any TCP connection. Its
//! token names that node; another node passes requests on through its
//! [`RemoteSessions`](remote::RemoteSessions).

mod answer;
mod backlog;
mod body;
mod handle;
mod publish;
mod query;
mod remote;
mod serve;
mod session;
mod sessions;
mod telemetry;

pub(super) use self::serve::LongPoll;
use self::sessions::Sessions;
pub(crate) use self::{remote::AllRemoteSessions, telemetry::no_secret};
