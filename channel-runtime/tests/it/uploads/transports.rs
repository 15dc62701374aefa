//! Uploads over real transports, as the official client sends them.

use std::collections::VecDeque;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use channel_runtime::{Endpoint, LongPollOptions, SocketOptions};
use data_encoding::BASE64;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message as WsMessage,
};
use tower::ServiceExt;

use super::{
    album::{User, listen},
    page::file,
};

/// A client's connection, over any transport.
enum Wire {
    Socket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
    Poll {
        app: Router,
        token: String,
        got: VecDeque<String>,
    },
}

impl Wire {
    async fn socket() -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = app();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let url = format!("ws://{addr}/socket/websocket?vsn=2.0.0");
        Wire::Socket(Box::new(connect_async(url).await.unwrap().0))
    }

    async fn poll() -> Wire {
        let app = app();
        let opened = ask(&app, Request::get(path("")).body(Body::empty()).unwrap()).await;
        Wire::Poll {
            app,
            token: opened["token"].as_str().unwrap().to_owned(),
            got: VecDeque::new(),
        }
    }

    async fn send(&mut self, message: WsMessage) {
        match self {
            Wire::Socket(socket) => socket.send(message).await.unwrap(),
            Wire::Poll { app, token, .. } => {
                let line = match message {
                    WsMessage::Binary(bytes) => BASE64.encode(&bytes),
                    text => text.into_text().unwrap().to_string(),
                };
                let post =
                    Request::post(path(token)).header("content-type", "application/x-ndjson");
                let answer = ask(app, post.body(line.into()).unwrap()).await;
                assert_eq!(answer["status"], 200);
            }
        }
    }

    async fn next(&mut self) -> Value {
        let text = match self {
            Wire::Socket(socket) => {
                let message = socket.next().await.unwrap().unwrap();
                message.into_text().unwrap().to_string()
            }
            Wire::Poll { app, token, got } => loop {
                if let Some(message) = got.pop_front() {
                    break message;
                }
                let poll = Request::get(path(token)).body(Body::empty()).unwrap();
                let answer = ask(app, poll).await;
                let messages: Vec<String> =
                    serde_json::from_value(answer["messages"].clone()).unwrap();
                got.extend(messages);
            },
        };
        serde_json::from_str(&text).unwrap()
    }

    /// Pushes and returns the response, which must be `ok`. Skips other messages.
    async fn push(&mut self, topic: &str, event: &str, payload: Value) -> Value {
        let message = json!(["1", event, topic, event, payload]);
        self.send(WsMessage::text(message.to_string())).await;
        self.ok(event).await
    }

    async fn chunk(&mut self, topic: &str, data: &[u8]) {
        let fields = ["1", "chunk", topic, "chunk"];
        let mut frame = vec![0];
        frame.extend(fields.iter().map(|field| field.len() as u8));
        frame.extend(fields.concat().as_bytes());
        frame.extend(data);
        self.send(WsMessage::binary(frame)).await;
        assert_eq!(self.ok("chunk").await, json!({}));
    }

    async fn ok(&mut self, reference: &str) -> Value {
        loop {
            let message = self.next().await;
            if message[1] == reference && message[3] == "phx_reply" {
                assert_eq!(message[4]["status"], "ok", "{message}");
                return message[4]["response"].clone();
            }
        }
    }

    async fn state(&mut self, name: &str) -> Value {
        loop {
            let message = self.next().await;
            if message[3] == "upload_state" && message[4]["name"] == name {
                return message[4].clone();
            }
        }
    }
}

fn app() -> Router {
    let options = SocketOptions::default().long_poll(LongPollOptions::default());
    let endpoint = Endpoint::builder().socket::<User>(options.path("/socket"));
    endpoint.build().unwrap().router()
}

fn path(token: &str) -> String {
    format!("/socket/longpoll?vsn=2.0.0&token={token}")
}

async fn ask(app: &Router, request: Request<Body>) -> Value {
    let response = app.clone().oneshot(request).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

async fn a_file_comes_through(mut wire: Wire, test: &str) {
    let mut log = listen(test);
    let album = format!("album:{test}");
    wire.push(&album, "phx_join", json!({})).await;
    let scans = wire.state("scans").await["ref"].clone();
    let allow = json!({"ref": scans, "entries": [file("0", "a.bin", 15)]});
    let allowed = wire.push(&album, "allow_upload", allow).await;
    let join = json!({"token": allowed["entries"]["0"]});
    assert_eq!(wire.push("lvu:0", "phx_join", join).await, json!({}));
    wire.chunk("lvu:0", &[0xFF; 10]).await;
    wire.chunk("lvu:0", &[0; 5]).await;
    let state = loop {
        let state = wire.state("scans").await;
        if state["active_refs"] == json!([]) {
            break state;
        }
    };
    assert_eq!(state["errors"], json!([]));
    for heard in ["init 15", "write 10", "write 5", "done 15", "meta"] {
        assert_eq!(log.recv().await.unwrap(), format!("a.bin: {heard}"));
    }
    assert_eq!(log.recv().await.unwrap(), "a.bin: handle 15");
}

#[tokio::test]
async fn a_file_comes_over_a_websocket() {
    a_file_comes_through(Wire::socket().await, "over_websocket").await;
}

#[tokio::test(start_paused = true)]
async fn a_file_comes_over_long_polling() {
    a_file_comes_through(Wire::poll().await, "over_long_poll").await;
}
