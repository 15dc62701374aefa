//! The program from outside, with curl and with a client over TLS.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    },
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it does not happen")
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tls"));
    command
        .env("PORT", "0")
        .env("TLS_PORT", "0")
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    soon(stdout.read_line(&mut line)).await.unwrap();
    line.trim_end().to_owned()
}

/// A program that listens on both ports.
struct Server {
    child: Child,
    secure: SocketAddr,
    plain: SocketAddr,
    folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut child = program()
            .env("CERT", folder.path().join("cert.pem"))
            .env("KEY", folder.path().join("key.pem"))
            .spawn()
            .unwrap();
        let line = first_line(&mut child).await;
        let addresses = line.strip_prefix("tls listening on https://");
        let (secure, plain) = addresses
            .and_then(|both| both.split_once(" and http://"))
            .unwrap_or_else(|| panic!("{line:?}"));
        Server {
            child,
            secure: secure.parse().unwrap(),
            plain: plain.parse().unwrap(),
            folder,
        }
    }

    async fn curl(&self, arguments: &[&str]) -> String {
        let certificate = self.folder.path().join("cert.pem");
        let mut command = Command::new("curl");
        command.arg("--cacert").arg(certificate);
        curl(command, arguments).await
    }

    /// Returns a client that trusts the certificate.
    async fn handshake(&self) -> TlsStream<TcpStream> {
        let pem = CertificateDer::from_pem_file(self.folder.path().join("cert.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(pem).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.secure).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let name = "localhost".try_into().unwrap();
        soon(connector.connect(name, stream)).await.unwrap()
    }

    async fn client(&self) -> Client {
        let url = "wss://localhost/socket/websocket?vsn=2.0.0";
        let stream = self.handshake().await;
        let mut client = Client(soon(client_async(url, stream)).await.unwrap().0);
        let joined = client.say("phx_join", json!({})).await;
        assert_eq!(joined[4]["status"], "ok", "{joined}");
        client
    }
}

struct Client(WebSocketStream<TlsStream<TcpStream>>);

impl Client {
    async fn say(&mut self, event: &str, payload: Value) -> Value {
        let frame = json!(["1", "1", "room:1", event, payload]);
        self.0.send(Message::text(frame.to_string())).await.unwrap();
        self.next().await
    }

    async fn next(&mut self) -> Value {
        match soon(self.0.next()).await.unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            Message::Close(Some(frame)) => json!(u16::from(frame.code)),
            other => panic!("expected text or a close, got {other:?}"),
        }
    }
}

/// Returns status, target and `strict-transport-security` of the answer to curl.
async fn curl(mut command: Command, arguments: &[&str]) -> String {
    let told = "%{http_code} %{redirect_url} %header{strict-transport-security}";
    let output = command
        .args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "60",
        ])
        .args(["--output", "/dev/null", "--write-out", told])
        .args(arguments);
    let Output {
        status,
        stdout,
        stderr,
    } = output.output().await.unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{said}");
    String::from_utf8_lossy(&stdout).trim().to_owned()
}

#[tokio::test]
async fn curl_is_sent_from_http_to_https_and_told_to_stay() {
    let server = Server::start().await;
    let (plain, secure) = (server.plain, server.secure);
    let url = format!("http://{plain}/a?b=c");
    let target = format!("https://{secure}/a?b=c");
    assert_eq!(server.curl(&[&url]).await, format!("301 {target}"));
    assert_eq!(
        server.curl(&["--head", &url]).await,
        format!("301 {target}")
    );
    for method in ["POST", "PUT", "DELETE"] {
        let answer = server
            .curl(&["--request", method, "--data", "x", &url])
            .await;
        assert_eq!(answer, format!("307 {target}"), "{method}");
    }
    let spoofed = ["--header", "x-forwarded-proto: https", &url];
    assert_eq!(server.curl(&spoofed).await, format!("301 {target}"));
    let followed = format!("http://{plain}/");
    assert_eq!(
        server.curl(&["--location", &followed]).await,
        "200  max-age=31536000"
    );
    let socket = format!("http://{plain}/socket/websocket?vsn=2.0.0");
    let target = format!("https://{secure}/socket/websocket?vsn=2.0.0");
    assert_eq!(server.curl(&[&socket]).await, format!("301 {target}"));
}

#[tokio::test]
async fn behind_a_proxy_its_word_counts() {
    let mut child = program().env("BEHIND_PROXY", "1").spawn().unwrap();
    let line = first_line(&mut child).await;
    let url = line.strip_prefix("tls listening on ").unwrap();
    let ask = async |arguments: &[&str]| curl(Command::new("curl"), arguments).await;
    let header = |value: &str| format!("x-forwarded-{value}");
    let (https, http) = (header("proto: https"), header("proto: http"));
    let host = header("host: room.example");
    let answer = ask(&["--header", &https, url]).await;
    assert_eq!(answer, "200  max-age=31536000");
    let answer = ask(&["--header", &http, "--header", &host, url]).await;
    assert_eq!(answer, "301 https://room.example/");
    let answer = ask(&[url]).await;
    assert!(answer.starts_with("301 https://127.0.0.1/"), "{answer}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_room_over_tls_works_and_is_drained() {
    let mut server = Server::start().await;
    let (mut ada, mut bob) = (server.client().await, server.client().await);
    let said = ada.say("new_msg", json!({"body": "hi"})).await;
    assert_eq!(said[3], "new_msg", "{said}");
    assert_eq!(bob.next().await[4], json!({"body": "hi"}));
    assert_eq!(ada.next().await[4]["status"], "ok");

    let pid = server.child.id().unwrap().to_string();
    let kill = Command::new("kill").arg(pid).status().await;
    assert!(kill.unwrap().success());
    for client in [&mut ada, &mut bob] {
        assert_eq!(client.next().await, 1012);
        // Reads on, so that the close is answered.
        assert!(soon(client.0.next()).await.is_none());
    }
    assert_eq!(soon(server.child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn who_does_not_shake_hands_holds_up_nobody() {
    let server = Server::start().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(server.secure).await.unwrap());
    }
    let mut wrong = TcpStream::connect(server.secure).await.unwrap();
    wrong.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _end_or_reset = soon(wrong.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let mut client = server.client().await;
    let said = client.say("new_msg", json!({"body": "hi"})).await;
    assert_eq!(said[4], json!({"body": "hi"}));
}

async fn complaint(command: &mut Command) -> String {
    let output = soon(command.stderr(Stdio::piped()).output()).await.unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[tokio::test]
async fn what_cannot_work_is_said_in_one_line() {
    let folder = TempDir::new().unwrap();
    let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&cert, "no certificate").unwrap();
    std::fs::write(&key, "no key").unwrap();
    let said = complaint(program().env("CERT", &cert).env("KEY", &key)).await;
    assert!(said.contains("the key cannot be read"), "{said}");
    let said = complaint(program().env("CERT", &cert)).await;
    assert!(said.contains("CERT and KEY"), "{said}");
    let said = complaint(program().env("TLS_PORT", "https")).await;
    assert!(said.contains("TLS_PORT must be a number"), "{said}");
}

#[cfg(unix)]
#[tokio::test]
async fn handshakes_that_never_end_do_not_hold_up_the_end() {
    let mut server = Server::start().await;
    let mut halves = Vec::new();
    for _ in 0..20 {
        let mut half = TcpStream::connect(server.secure).await.unwrap();
        // The head of a record of a handshake that does not follow.
        half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00])
            .await
            .unwrap();
        halves.push(half);
    }
    // A client that is served proves that those before it were accepted.
    let _client = server.client().await;
    let pid = server.child.id().unwrap().to_string();
    let kill = Command::new("kill").arg(pid).status().await;
    assert!(kill.unwrap().success());
    assert_eq!(soon(server.child.wait()).await.unwrap().code(), Some(0));
}
