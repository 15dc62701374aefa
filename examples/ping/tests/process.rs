//! The program from outside: a ping, a pong, and the end.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use std::{process::Stdio, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

const PATIENCE: Duration = Duration::from_secs(60);

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

/// Returns the answer to a poll, or to a POST of a body.
async fn poll(address: &str, method: &str, token: &str, body: &str) -> Value {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} /ping/longpoll?token={token} HTTP/1.1\r\nhost: {address}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn who_polls_is_answered_too() {
    let (_child, address) = listening().await;
    let opened = poll(&address, "GET", "", "").await;
    assert_eq!(opened["status"], 410, "{opened}");
    let token = opened["token"].as_str().unwrap();
    for _ in 0..2 {
        let taken = poll(&address, "POST", token, "ping").await;
        assert_eq!(taken["status"], 200, "{taken}");
        let answer = poll(&address, "GET", token, "").await;
        assert_eq!(answer["messages"], json!(["pong"]));
    }
    poll(&address, "POST", token, "wrong").await;
    let mut answer = poll(&address, "GET", token, "").await;
    while answer["status"] == 204 {
        answer = poll(&address, "GET", token, "").await;
    }
    assert_eq!(answer["status"], 410, "the session has ended: {answer}");
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
