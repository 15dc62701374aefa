//! The program from outside: its one line, its errors, its end.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tokio::net::TcpStream as AsyncTcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

fn uploads(port: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uploads"));
    command
        .env("PORT", port)
        .env("UPLOADS_DIR", folder)
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts a server, and returns it with its output behind the first line, and its address.
fn listening(folder: &Path) -> (Child, BufReader<ChildStdout>, String) {
    says_where(uploads("0", folder).spawn().unwrap(), folder)
}

fn says_where(mut child: Child, folder: &Path) -> (Child, BufReader<ChildStdout>, String) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line
        .strip_prefix("uploads listening on http://")
        .unwrap_or_else(|| panic!("{line:?}"));
    let (address, rest) = address.split_once(' ').unwrap();
    assert_eq!(rest, format!("with files in {}\n", folder.display()));
    (child, output, address.to_owned())
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn fails_in_one_line(
    Output {
        status,
        stdout,
        stderr,
    }: &Output,
    what: &str,
) {
    let said = String::from_utf8_lossy(stderr);
    assert!(!status.success());
    assert!(stdout.is_empty());
    assert!(
        said.starts_with("uploads: ") && said.contains(what),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_port_that_is_none_ends_it_with_a_word() {
    let folder = TempDir::new().unwrap();
    let output = uploads("http", folder.path()).output().unwrap();
    fails_in_one_line(&output, "PORT must be a number");
}

#[test]
fn a_folder_that_cannot_be_ends_it_with_a_word() {
    let file = NamedTempFile::new().unwrap();
    for folder in [file.path(), &file.path().join("inside")] {
        let what = format!("cannot store files in {}", folder.display());
        fails_in_one_line(&uploads("0", folder).output().unwrap(), &what);
    }
}

#[cfg(unix)]
#[test]
fn it_serves_the_page_and_ends_well_when_asked_to() {
    let folder = TempDir::new().unwrap();
    let (mut child, mut output, address) = listening(folder.path());
    let page = get(&address, "/");
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert!(
        page.contains("content-security-policy: default-src 'self'"),
        "{page}"
    );
    std::fs::write(folder.path().join("secret.txt"), "not an upload").unwrap();
    for path in ["/nothing", "/files/secret.txt", "/files/..%2fsecret.txt"] {
        assert!(get(&address, path).starts_with("HTTP/1.1 404"), "{path}");
    }
    let kill = Command::new("kill").arg(child.id().to_string()).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

/// An open page with no browser: its socket, and its channel.
struct Page {
    socket: WebSocketStream<MaybeTlsStream<AsyncTcpStream>>,
    upload: String,
}

impl Page {
    async fn open(address: &str) -> Self {
        let url = format!("ws://{address}/socket/websocket?vsn=2.0.0");
        let (socket, _) = connect_async(url).await.unwrap();
        let mut page = Page {
            socket,
            upload: String::new(),
        };
        page.send("1", "harbour", "phx_join", json!({})).await;
        loop {
            if let [.., event, state] = &page.next().await[..]
                && *event == "upload_state"
            {
                page.upload = state["ref"].as_str().unwrap().to_owned();
                return page;
            }
        }
    }

    async fn send(&mut self, id: &str, topic: &str, event: &str, payload: Value) {
        let join_ref = if topic == "harbour" { "1" } else { id };
        let message = json!([join_ref, id, topic, event, payload]).to_string();
        self.socket.send(Message::text(message)).await.unwrap();
    }

    async fn next(&mut self) -> Vec<Value> {
        let message = self.socket.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    async fn reply(&mut self, id: &str) -> Value {
        loop {
            if let [_, of, _, event, reply] = &self.next().await[..]
                && *event == "phx_reply"
                && *of == id
            {
                return reply.clone();
            }
        }
    }

    /// Begins files that it does not end, all at once, and returns the reasons of refusals.
    async fn begin(&mut self, files: usize) -> Vec<Value> {
        let entry = |at| json!({"ref": at, "name": "a.txt", "size": 9, "type": "text/plain"});
        let refs: Vec<_> = (0..files).map(|at| at.to_string()).collect();
        let entries: Vec<_> = refs.iter().map(entry).collect();
        let chosen = json!({"ref": self.upload, "entries": entries});
        self.send("allow", "harbour", "allow_upload", chosen).await;
        let allowed = self.reply("allow").await;
        for at in &refs {
            let token = &allowed["response"]["entries"][at];
            let payload = json!({"token": token, "resume": true});
            let topic = format!("lvu:{at}");
            self.send(&format!("join{at}"), &topic, "phx_join", payload)
                .await;
        }
        let (mut refused, mut answers) = (Vec::new(), 0);
        while answers < files {
            let message = self.next().await;
            if message[3] == "phx_reply" && message[1].as_str().is_some_and(|id| id != "allow") {
                answers += 1;
                if message[4]["status"] != "ok" {
                    refused.push(message[4]["response"]["reason"].clone());
                }
            }
        }
        refused
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_that_clients_do_not_end_leave_room_for_other_clients() {
    let folder = TempDir::new().unwrap();
    let program = uploads("0", folder.path());
    let mut limited = Command::new("sh");
    limited.args([
        "-c",
        "ulimit -n 256; exec \"$0\"",
        env!("CARGO_BIN_EXE_uploads"),
    ]);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let child = limited.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let (mut child, _output, address) = says_where(child.unwrap(), folder.path());
    let mut pages = Vec::new();
    for _ in 0..14 {
        pages.push(Page::open(&address).await);
    }
    let begun = pages.into_iter().map(|mut page| {
        tokio::spawn(async move {
            let refused = page.begin(20).await;
            (page, refused)
        })
    });
    let begun: Vec<_> = begun.collect();
    let (mut pages, mut refused) = (Vec::new(), Vec::new());
    for page in begun {
        let (page, reasons) = page.await.unwrap();
        pages.push(page);
        refused.extend(reasons);
    }
    // Of 280 files.
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|reason| *reason == "too_many_open"));
    let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    let open = open.count();
    assert!(open < 220, "{open} open");
    assert!(get(&address, "/").starts_with("HTTP/1.1 200 OK"));
    let mut other = Page::open(&address).await;
    // Uploads that wait for a client hold no file, though they are kept for minutes.
    drop(pages);
    assert_eq!(other.begin(20).await, Vec::<Value>::new());
    child.kill().unwrap();
    child.wait().unwrap();
}
