//! Sockets without channels, polled.

use std::time::Duration;

use channel_runtime::{
    Close, Endpoint, LongPollOptions, Refusal, SocketOptions,
    protocol::Frame,
    transport::{Action, ConnectRequest, RawHandle, RawSocket},
};
use tokio::time::{Instant, sleep};

use crate::support::{
    poll_client::{Client, NDJSON},
    polled_room::WINDOW,
};

struct Ping;

impl RawSocket for Ping {
    type Message = ();

    async fn connect(request: &ConnectRequest, _: &Endpoint) -> Result<Self, Refusal> {
        assert_eq!(request.info.transport, "longpoll");
        Ok(Ping)
    }

    async fn handle_in(&mut self, frame: Frame, socket: &RawHandle<Self>) -> Action {
        match frame {
            Frame::Text(text) if &*text == "ping" => Action::Push(Frame::Text("pong".into())),
            Frame::Text(text) if &*text == "sleep" => {
                socket.push(Frame::Text("asleep".into()));
                sleep(WINDOW * 2).await;
                Action::Push(Frame::Text("awake".into()))
            }
            Frame::Text(text) if &*text == "crash" => panic!("as told"),
            Frame::Text(_) => Action::Continue,
            Frame::Binary(bytes) => {
                socket.push(Frame::Binary(bytes));
                Action::Stop(Close {
                    code: 1003,
                    reason: "text only".into(),
                })
            }
        }
    }
}

async fn open() -> (Endpoint, Client) {
    let options = SocketOptions::default().long_poll(LongPollOptions::default());
    let endpoint = Endpoint::builder()
        .raw_socket::<Ping>(options.path("/ping"))
        .build()
        .unwrap();
    let client = Client::open_at(endpoint.router(), "/ping", "").await;
    (endpoint, client)
}

#[tokio::test(start_paused = true)]
async fn ping_pong() {
    let (_endpoint, client) = open().await;
    for _ in 0..3 {
        assert_eq!(client.post("text/plain", "ping").await.status(), 200);
        assert_eq!(client.poll().await.texts(), ["pong"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_socket_holds_up_its_posts_and_not_its_polls() {
    let (_endpoint, client) = open().await;
    let started = Instant::now();
    // One is handled, one waits beside it, the third waits at the transport.
    for text in ["sleep", "ping"] {
        assert_eq!(client.post("text/plain", text).await.status(), 200);
    }
    assert_eq!(client.poll().await.texts(), ["asleep"]);
    let (posted, polled) = tokio::join!(client.post("text/plain", "ping"), client.poll());
    assert_eq!((posted.status(), polled.status()), (408, 204));
    assert!(started.elapsed() < WINDOW + Duration::from_millis(10));
    let mut texts = Vec::new();
    while texts.len() < 3 {
        let answer = client.poll().await;
        assert_ne!(answer.status(), 410, "a session that is polled lives");
        texts.extend(answer.texts());
    }
    assert_eq!(
        texts,
        ["awake", "pong", "pong"],
        "and nothing that was taken is lost"
    );
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_stops_or_crashes_ends_its_session_after_its_last_words() {
    let (endpoint, client) = open().await;
    assert_eq!(client.post(NDJSON, "AAEC").await.status(), 200);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(endpoint.connection_count(), 0);
    assert_eq!(client.poll().await.texts(), ["AAEC"]);
    assert_eq!(client.poll().await.status(), 410);
    assert_eq!(client.post("text/plain", "ping").await.status(), 410);

    let crashing = Client::open_at(endpoint.router(), "/ping", "").await;
    assert_eq!(crashing.post("text/plain", "crash").await.status(), 200);
    assert_eq!(crashing.poll().await.status(), 410);
}
