//! The program from outside: a ping, a pong, and the end.

// In a test, a panic is how it fails.
#![allow(clippy::unwrap_used)]

use std::{process::Stdio, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

const PATIENCE: Duration = Duration::from_secs(10);

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A program that listens, and its address.
async fn listening() -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ping"))
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    soon(stdout.read_line(&mut line)).await.unwrap();
    let address = line.trim_end().strip_prefix("ping listening on http://");
    (
        child,
        address.unwrap_or_else(|| panic!("{line:?}")).to_owned(),
    )
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it does not happen")
}

async fn client(address: &str) -> Client {
    let url = format!("ws://{address}/ping/websocket");
    soon(connect_async(url)).await.unwrap().0
}

async fn next(client: &mut Client) -> Message {
    soon(client.next()).await.unwrap().unwrap()
}

async fn code(client: &mut Client) -> u16 {
    match next(client).await {
        Message::Close(Some(frame)) => frame.code.into(),
        other => panic!("expected a close, got {other:?}"),
    }
}

#[tokio::test]
async fn a_ping_is_answered_with_a_pong() {
    let (_child, address) = listening().await;
    let mut client = client(&address).await;
    for _ in 0..3 {
        client.send(Message::text("ping")).await.unwrap();
        assert_eq!(next(&mut client).await, Message::text("pong"));
    }
}

#[tokio::test]
async fn anything_else_closes_its_own_connection() {
    let (_child, address) = listening().await;
    let mut other = client(&address).await;
    for wrong in [Message::text("pong"), Message::binary("ping")] {
        let mut client = client(&address).await;
        client.send(wrong).await.unwrap();
        assert_eq!(code(&mut client).await, 1003);
    }
    other.send(Message::text("ping")).await.unwrap();
    assert_eq!(next(&mut other).await, Message::text("pong"));
}

#[cfg(unix)]
#[tokio::test]
async fn it_sends_its_clients_away_and_ends_well_when_asked_to() {
    let (mut child, address) = listening().await;
    let mut client = client(&address).await;
    client.send(Message::text("ping")).await.unwrap();
    assert_eq!(next(&mut client).await, Message::text("pong"));
    let pid = child.id().unwrap().to_string();
    let kill = Command::new("kill").arg(pid).status().await;
    assert!(kill.unwrap().success());
    assert_eq!(code(&mut client).await, 1012);
    // Reads on, so that the close is answered.
    assert!(soon(client.next()).await.is_none());
    assert_eq!(soon(child.wait()).await.unwrap().code(), Some(0));
}
