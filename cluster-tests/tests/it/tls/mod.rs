//! The connection to the engine: TLS, certificates, and credentials that no log shows.

mod certificates;
mod credentials;

use channel_runtime::pubsub::ClusterOptions;
use cluster_tests::{
    client::Client,
    engine::{Engine, Kind},
    node::{Node, endpoint},
    room::Said,
};
use tempfile::TempDir;

/// Creates a certificate for `localhost` and its key, in files.
fn certificate() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let write = |file, text: String| std::fs::write(directory.path().join(file), text).unwrap();
    write("cert.pem", made.cert.pem());
    write("key.pem", made.signing_key.serialize_pem());
    directory
}

fn engine(kind: Kind, files: &TempDir) -> Engine {
    let path = |file| files.path().join(file).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let extra = match kind {
        // The usual port becomes the one with TLS.
        Kind::Redis => format!(
            "tls-cert-file {cert}\ntls-key-file {key}\ntls-auth-clients no\ntls-port $PORT\nport 0\n\
             user app on >secret allchannels +@connection +@pubsub"
        ),
        Kind::Nats => format!(
            "tls {{ cert_file: {cert:?}, key_file: {key:?} }}\n\
             authorization: {{ user: app, password: secret }}"
        ),
    };
    Engine::start(kind, &extra)
}

async fn nodes_meet_through_tls(kind: Kind) {
    let files = certificate();
    let engine = engine(kind, &files);
    let scheme = match kind {
        Kind::Redis => "rediss",
        Kind::Nats => "tls",
    };
    let url = format!("{scheme}://app:secret@localhost:{}", engine.port());
    let trusting = |name: &str| {
        let options = ClusterOptions::new().node(name);
        options.root_certificates(files.path().join("cert.pem"))
    };
    let a = Node::connect(&url, trusting("a")).await.unwrap();
    let b = Node::connect(&url, trusting("b")).await.unwrap();
    let client = Client::joined(b.address, "one", "room:1").await;
    a.endpoint.broadcast("room:1", &Said::new(1)).await.unwrap();
    client.saw(1).await;

    let mistrusting = endpoint(&url, ClusterOptions::new()).await.err();
    let error = mistrusting.expect("nobody vouches for this certificate");
    println!("{error}");
    assert!(error.to_string().contains("cannot connect to"), "{error}");
    let missing = ClusterOptions::new().root_certificates("/nowhere.pem");
    let error = endpoint(&url, missing).await.err().unwrap();
    println!("{error}");
}

#[tokio::test]
async fn nodes_meet_at_redis_through_tls() {
    nodes_meet_through_tls(Kind::Redis).await;
}

#[tokio::test]
async fn nodes_meet_at_nats_through_tls() {
    nodes_meet_through_tls(Kind::Nats).await;
}
