//! A test kit: clients in memory, no ports, no sleeping.
//!
//! A [`TestClient`] connects to an [`Endpoint`](crate::Endpoint) as a real one would, through the
//! same session, serializer and channel tasks, only without a network. What it expects and does
//! not get within ten seconds of tokio's clock fails the test with a list of what came instead,
//! and what it refutes must not come within one; with `#[tokio::test(start_paused = true)]` these
//! seconds, and every timer of a channel, take no time at all. Mirrors `Phoenix.ChannelTest`.
//!
//! Needs the feature `test`:
//!
//! ```toml
//! [dev-dependencies]
//! channel-runtime = { version = "*", features = ["test"] }
//! tokio = { version = "1", features = ["macros", "test-util"] }
//! ```
//!
//! ```
//! use channel_runtime::{prelude::*, test::TestClient};
//! use serde::{Deserialize, Serialize};
//!
//! pub struct UserSocket;
//!
//! #[socket(channels = [Room])]
//! impl UserSocket {
//!     #[connect]
//!     fn connect() -> Self { UserSocket }
//! }
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
//! #[event("new_msg")]
//! struct NewMsg { body: String }
//!
//! pub struct Room;
//!
//! #[channel("room:*", socket = UserSocket, pushes = [NewMsg])]
//! impl Room {
//!     #[join]
//!     fn join() -> Self { Room }
//!
//!     #[handle_in("new_msg")]
//!     async fn post(&mut self, msg: NewMsg, socket: &Socket<Self>) -> Reply {
//!         socket.broadcast(&msg).await?;
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let endpoint = Endpoint::builder().socket::<UserSocket>("/socket").build().unwrap();
//! let (alice, bob) = (TestClient::connect(&endpoint, ()).await, TestClient::connect(&endpoint, ()).await);
//! let (alice, bob) = (alice.unwrap(), bob.unwrap());
//! let alices = alice.join("room:lobby", ()).await.unwrap();
//! let bobs = bob.join("room:lobby", ()).await.unwrap();
//!
//! alices.push("new_msg", NewMsg { body: "hi".into() }).await.expect_ok::<()>();
//! assert_eq!(bobs.expect_broadcast::<NewMsg>().await, NewMsg { body: "hi".into() });
//! bobs.refute_push::<NewMsg>().await;
//! # }
//! ```

mod channel;
mod client;
mod inbound;

pub use self::{
    channel::{TestChannel, TestReply, TestRequest},
    client::{TestClient, TestClientBuilder},
    inbound::{Inbound, Kind},
};
