//! Behaviour that only real connections show.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use channel_runtime::{Endpoint, LongPollOptions, SocketOptions};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{advance, pause, resume, timeout},
};

use crate::support::polled_room::{WINDOW, endpoint_with, heard, said};

/// The limit of every wait, each of which is for an event; only a failing test takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

async fn serve(options: LongPollOptions) -> (Endpoint, SocketAddr) {
    let endpoint = endpoint_with(SocketOptions::default().long_poll(options));
    let app: Router = endpoint.router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (endpoint, addr)
}

/// Starts a request on a connection of its own.
async fn start(addr: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Returns the status line and the JSON of an answer, after which the server closes.
async fn finish(mut stream: TcpStream) -> (String, Value) {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("no answer");
    // The end may be a reset if a body was refused unread.
    assert!(read.is_ok() || !answer.is_empty(), "{read:?}");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().to_owned();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn get(token: &str) -> String {
    format!(
        "GET /socket/longpoll?vsn=2.0.0&token={token} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
}

fn post(token: &str, length: usize, body: &str) -> String {
    format!(
        "POST /socket/longpoll?vsn=2.0.0&token={token} HTTP/1.1\r\nhost: x\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

async fn poll(addr: SocketAddr, token: &str) -> Value {
    finish(start(addr, &get(token)).await).await.1
}

async fn open(addr: SocketAddr) -> String {
    let answer = poll(addr, "null").await;
    assert_eq!(answer["status"], 410);
    answer["token"].as_str().unwrap().to_owned()
}

async fn publish(addr: SocketAddr, token: &str, frame: Value) -> Value {
    let body = frame.to_string();
    finish(start(addr, &post(token, body.len(), &body)).await)
        .await
        .1
}

#[tokio::test]
async fn each_request_may_come_on_a_connection_of_its_own() {
    let (endpoint, addr) = serve(LongPollOptions::default()).await;
    let token = open(addr).await;
    let answer = publish(addr, &token, json!(["1", "1", "room:1", "phx_join", {}])).await;
    assert_eq!(answer, json!({"status": 200}));
    let joined = poll(addr, &token).await;
    assert_eq!(joined["messages"].as_array().unwrap().len(), 1);
    let waiting = start(addr, &get(&token)).await;
    endpoint.broadcast("room:1", &said("hi")).await.unwrap();
    let answer = finish(waiting).await.1;
    assert_eq!(
        answer["messages"],
        json!([heard("room:1", "hi").to_string()])
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_polls_ends_its_session_in_time() {
    let (endpoint, addr) = serve(LongPollOptions::default().window(WINDOW)).await;
    let token = open(addr).await;
    let answer = publish(addr, &token, json!(["1", "1", "room:1", "phx_join", {}])).await;
    assert_eq!(answer["status"], 200);
    poll(addr, &token).await;
    let waiting = start(addr, &get(&token)).await;
    assert_eq!(endpoint.subscriber_count("room:1"), 1);
    drop(waiting);
    // The rest of the poll, and one and a half windows without another, pass at once.
    for _ in 0..30 {
        pause();
        advance(WINDOW / 10).await;
        resume();
    }
    let gone = async {
        while endpoint.long_poll_session_count() > 0 || endpoint.connection_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the session is left");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_refused_unread() {
    let (_endpoint, addr) = serve(LongPollOptions::default()).await;
    let token = open(addr).await;
    // Not a byte of it is sent.
    let (status, answer) = finish(start(addr, &post(&token, 10_000_001, "")).await).await;
    assert!(status.contains("413"), "{status}");
    assert_eq!(answer, json!({"status": 413}));
    let heartbeat = json!([null, "hb", "phoenix", "heartbeat", {}]);
    assert_eq!(publish(addr, &token, heartbeat).await["status"], 200);
}

#[tokio::test]
async fn a_body_without_a_session_is_refused_unread() {
    let (_endpoint, addr) = serve(LongPollOptions::default()).await;
    let (_, answer) = finish(start(addr, &post("bogus", 1_000_000, "")).await).await;
    assert_eq!(answer, json!({"status": 410}));
}

#[tokio::test]
async fn a_client_that_sends_a_byte_and_stops_is_told_so_and_may_go_on() {
    let options = LongPollOptions::default().body_timeout(Duration::from_millis(100));
    let (_endpoint, addr) = serve(options).await;
    let token = open(addr).await;
    let slow = start(addr, &post(&token, 100, "[")).await;
    let (_, answer) = finish(slow).await;
    assert_eq!(answer, json!({"status": 408}));
    let heartbeat = json!([null, "hb", "phoenix", "heartbeat", {}]);
    assert_eq!(publish(addr, &token, heartbeat).await["status"], 200);
    assert_eq!(poll(addr, &token).await["status"], 200);
}

#[tokio::test]
async fn a_thousand_clients_that_open_and_hang_up_leave_nothing() {
    let (endpoint, addr) =
        serve(LongPollOptions::default().window(Duration::from_millis(200))).await;
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..1000 {
        clients.spawn(async move {
            let token = open(addr).await;
            let join = json!(["1", "1", "room:all", "phx_join", {}]);
            publish(addr, &token, join).await;
            match n % 2 {
                0 => drop(start(addr, &get(&token)).await),
                _ => drop(start(addr, &post(&token, 1000, "[")).await),
            }
        });
        if clients.len() >= 50 {
            clients.join_next().await.unwrap().unwrap();
        }
    }
    clients.join_all().await;
    let gone = async {
        while endpoint.long_poll_session_count() > 0
            || endpoint.connection_count() > 0
            || endpoint.subscriber_count("room:all") > 0
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("sessions are left");
}
