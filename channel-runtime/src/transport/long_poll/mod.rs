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
//! A session is a task that owns a [`Connection`](super::Connection), and an entry in the
//! endpoint's [`Sessions`], where the requests of its client find it, whatever TCP connection
//! they come on.

mod answer;
mod body;
mod handle;
mod options;
mod query;
mod serve;
mod session;
mod sessions;

pub use self::options::LongPollOptions;
pub(super) use self::serve::LongPoll;
pub(crate) use self::sessions::Sessions;
