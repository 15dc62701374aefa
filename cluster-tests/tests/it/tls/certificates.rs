//! An engine that asks for the node's own certificate.

use channel_runtime::pubsub::{ClusterConfig, ClusterOptions, Nats, Redis, StartError};
use cluster_tests::{
    engine::{Engine, Kind},
    node::endpoint,
    room::Said,
    within,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;

/// Creates a certificate authority with the certificates of a server `localhost` and of a client,
/// and a client's key that fits no certificate.
fn authority() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(directory.path().join(file), text).unwrap();
    // An issuer and its certificates need names that differ, or they count as self-signed.
    let named = |names: Vec<String>, name: &str| {
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut params = named(Vec::new(), "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    write("ca.pem", &params.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(params, key);
    for name in ["localhost", "client"] {
        let params = named(vec![name.to_owned()], name);
        let key = KeyPair::generate().unwrap();
        write(
            &format!("{name}.pem"),
            &params.signed_by(&key, &issuer).unwrap().pem(),
        );
        write(&format!("{name}.key"), &key.serialize_pem());
    }
    write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    write("empty.pem", "");
    write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    directory
}

fn engine(kind: Kind, files: &TempDir) -> (Engine, String) {
    let path = |file: &str| files.path().join(file).display().to_string();
    let (ca, cert, key) = (path("ca.pem"), path("localhost.pem"), path("localhost.key"));
    let (scheme, extra) = match kind {
        Kind::Redis => (
            "rediss",
            format!(
                "tls-ca-cert-file {ca}\ntls-cert-file {cert}\ntls-key-file {key}\n\
                 tls-auth-clients yes\ntls-port $PORT\nport 0"
            ),
        ),
        Kind::Nats => (
            "nats",
            format!(
                "tls {{ ca_file: {ca:?}, cert_file: {cert:?}, key_file: {key:?}, verify: true }}"
            ),
        ),
    };
    let engine = Engine::start(kind, &extra);
    let url = format!("{scheme}://localhost:{}", engine.port());
    (engine, url)
}

async fn refused(url: &str, options: ClusterOptions) -> String {
    let error: StartError = endpoint(url, options).await.expect_err("it is refused");
    let text = error.to_string();
    println!("{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

async fn nodes_show_their_certificates(kind: Kind) {
    let files = authority();
    let path = |file: &str| files.path().join(file);
    let (_engine, url) = engine(kind, &files);
    let options = ClusterOptions::new().root_certificates(path("ca.pem"));
    let shown = |cert: &str, key: &str| options.clone().client_certificate(path(cert), path(key));
    let a = endpoint(&url, shown("client.pem", "client.key").node("a"))
        .await
        .unwrap();
    let config: ClusterConfig = serde_json::from_value(json!({
        "url": url,
        "node": "b",
        "root_certificates": path("ca.pem"),
        "client_certificate": path("client.pem"),
        "client_key": path("client.key"),
    }))
    .unwrap();
    let builder = channel_runtime::Endpoint::builder();
    let builder = match kind {
        Kind::Redis => builder.pubsub(Redis::from_config(config).await.unwrap()),
        Kind::Nats => builder.pubsub(Nats::from_config(config).await.unwrap()),
    };
    let b = builder.build().unwrap();
    let mut heard = b.subscribe("room:1");
    heard.confirmed().await;
    a.broadcast("room:1", &Said::new(1)).await.unwrap();
    assert_eq!(within("it", heard.recv()).await.event(), "said");

    let without = refused(&url, options.clone()).await;
    assert!(without.starts_with("cannot connect to "), "{without}");
    let wrong = [
        (shown("nowhere.pem", "client.key"), "nowhere.pem: "),
        (shown("client.pem", "nowhere.key"), "nowhere.key: "),
        (
            shown("empty.pem", "client.key"),
            "empty.pem holds no PEM certificate",
        ),
        (
            shown("client.pem", "client.pem"),
            "client.pem holds no private key",
        ),
        (
            shown("client.pem", "other.key"),
            "client.pem does not go with the key in ",
        ),
        (
            options.clone().root_certificates(path("empty.pem")),
            "empty.pem holds no PEM",
        ),
        (
            options.clone().root_certificates(path("broken.pem")),
            "broken.pem has a certificate",
        ),
        (options.clone().root_certificates(path("")), "cannot read "),
    ];
    for (options, says) in wrong {
        let text = refused(&url, options).await;
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn redis_asks_for_certificates() {
    nodes_show_their_certificates(Kind::Redis).await;
}

#[tokio::test]
async fn nats_asks_for_certificates() {
    nodes_show_their_certificates(Kind::Nats).await;
}

#[tokio::test]
async fn with_certificates_nats_must_speak_tls() {
    let files = authority();
    let engine = Engine::start(Kind::Nats, "");
    let options = ClusterOptions::new().root_certificates(files.path().join("ca.pem"));
    let url = format!("nats://localhost:{}", engine.port());
    refused(&url, options).await;
}
