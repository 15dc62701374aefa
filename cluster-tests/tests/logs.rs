//! The content of the log at the finest level, including the client crates.
//!
//! A program of its own: the log is the process's, because client crates use `log` as well.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use std::{
    io,
    sync::{Arc, Mutex},
};

use channel_runtime::{
    Endpoint,
    pubsub::{ClusterOptions, Nats, Redis},
};
use cluster_tests::{
    engine::{Engine, Kind},
    eventually,
    node::{Node, endpoint, impatient, up},
    room::Said,
};
use tracing_subscriber::{fmt::MakeWriter, util::SubscriberInitExt};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// Creates an endpoint that connects later.
fn lazy(url: &str, options: ClusterOptions) -> Endpoint {
    let builder = Endpoint::builder();
    let builder = match url.starts_with("redis") {
        true => builder.pubsub(Redis::lazy(url, options).unwrap()),
        false => builder.pubsub(Nats::lazy(url, options).unwrap()),
    };
    builder.build().unwrap()
}

/// Connects, is refused, loses the engine and finds it again, each with secrets. Returns the output
/// of code that prints.
async fn conversation(kind: Kind) -> String {
    let extra = match kind {
        Kind::Redis => {
            "user app on >hush/right allchannels +@connection +@pubsub\nuser default off"
        }
        Kind::Nats => "authorization: { user: app, password: \"hush/right\" }",
    };
    let mut engine = Engine::start(kind, extra);
    let url = |user: &str| engine.url().replace("://", &format!("://{user}@"));
    let (right, wrong, token) = (
        url("app:hush%2Fright"),
        url("app:hush%2Fwrong"),
        url("hush-t"),
    );
    let node = Node::connect(&right, impatient().node("twin"))
        .await
        .unwrap();
    let twin = lazy(&right, impatient().node("twin"));
    up(&twin).await;
    let mut said = format!("{:?} {:?}", node.endpoint, node.endpoint.health());
    for url in [&wrong, &token] {
        let error = endpoint(url, impatient()).await.err().unwrap();
        said += &format!("{error} {error:?}");
        let refused = lazy(url, impatient());
        eventually("it has tried", || {
            format!("{:?}", refused.health()).contains("refused")
        })
        .await;
        said += &format!("{:?}", refused.health());
    }
    let broken = [
        "nats://app:hush@",
        "redis://app:hush@h:x",
        "nats://app:hush@h:99999999",
    ];
    for url in broken {
        let error = endpoint(url, impatient()).await.err().unwrap();
        said += &format!("{error} {error:?}");
    }
    engine.kill();
    node.down().await;
    said += &format!("{:?}", node.endpoint.health());
    engine.restart();
    node.up().await;
    node.endpoint
        .broadcast("room:1", &Said::new(1))
        .await
        .unwrap();
    let knows = || node.endpoint.health().namesake.is_some();
    eventually("it knows of the other", knows).await;
    said + &format!(
        "{:?} {:?}",
        node.endpoint.health(),
        impatient().nkey("hush")
    )
}

#[tokio::test]
async fn no_password_reaches_the_log_or_an_error() {
    let log = Log::default();
    // Includes `log`, which client crates use.
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish()
        .init();
    let printed = [
        conversation(Kind::Redis).await,
        conversation(Kind::Nats).await,
    ];
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for text in printed.iter().chain([&log]).flat_map(|text| text.lines()) {
        assert!(!text.contains("hush"), "{text}");
    }
    for says in [
        "attempting connection",
        "write operation: CONNECT",
        "pubsub cannot connect yet",
    ] {
        assert!(log.contains(says), "{says} is not in the log");
    }
    let clashes = log.matches("another node has this node's name").count();
    assert_eq!(clashes, 4, "one for each node");
}
