//! This project's server for the benchmark: one channel, written as a user would.

use std::net::Ipv4Addr;

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

struct UserSocket;

#[socket(channels = [Bench])]
impl UserSocket {
    #[connect]
    fn connect() -> Self {
        UserSocket
    }
}

#[derive(Serialize, Deserialize, Event)]
#[event("cast")]
struct Cast {
    body: String,
}

#[derive(Serialize, Deserialize, Event)]
#[event("seen")]
struct Seen {
    body: String,
}

struct Bench;

#[channel("bench:*", intercept = ["seen"], pushes = [Cast, Seen], log_join = off, log_handle_in = off)]
impl Bench {
    #[join]
    fn join() -> Self {
        Bench
    }

    #[handle_in("cast")]
    async fn cast(&mut self, cast: Cast, socket: &Socket<Self>) -> Result<(), Refusal> {
        Ok(socket.broadcast(&cast).await?)
    }

    #[handle_in("seen")]
    async fn seen(&mut self, seen: Seen, socket: &Socket<Self>) -> Result<(), Refusal> {
        Ok(socket.broadcast(&seen).await?)
    }

    #[handle_out("seen")]
    fn see(&mut self, seen: Seen, socket: &Socket<Self>) -> Result<(), Error> {
        socket.push(&seen)
    }

    #[handle_in("echo")]
    fn echo(&mut self, payload: Payload) -> Reply<Payload> {
        Ok(payload)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let endpoint = Endpoint::builder()
        .socket::<UserSocket>("/socket")
        .build()?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("ours listening on http://{}", listener.local_addr()?);
    endpoint.serve(listener, endpoint.router()).await?;
    Ok(())
}
