//! The server under measurement: uploads to a temporary file and to an object store, and beside
//! them the least that a WebSocket can do.

use std::{
    path::Path,
    process::Stdio,
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    routing::get,
};
use channel_runtime::{
    SocketOptions,
    prelude::*,
    upload::{Discard, ObjectStore, TempFile, UploadChannel, UploadEntry},
};
use object_store::local::LocalFileSystem;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    runtime::Handle,
};

/// The folder of the files and objects.
static FOLDER: OnceLock<String> = OnceLock::new();
static STORE: OnceLock<Arc<LocalFileSystem>> = OnceLock::new();

struct Album;

#[channel("album:*", log_join = off, log_handle_in = off)]
impl Album {
    #[join]
    fn join() -> Self {
        Album
    }

    #[allow_upload("files", accept = any, max_entries = 1_000, max_file_size = 10_000_000_000)]
    fn files(&self) -> TempFile {
        TempFile::in_dir(FOLDER.get().map_or("", String::as_str))
    }

    #[handle_upload("files")]
    fn file(&mut self) {}

    #[allow_upload("objects", accept = any, max_entries = 1_000, max_file_size = 10_000_000_000)]
    fn objects(&self, entry: &UploadEntry) -> Result<ObjectStore, Refusal> {
        let store = STORE.get().ok_or_else(|| Refusal::new("no store"))?;
        Ok(ObjectStore::new(
            store.clone(),
            entry.uuid().to_string().into(),
        ))
    }

    #[handle_upload("objects")]
    fn object(&mut self) {}

    #[allow_upload("nowhere", accept = any, max_entries = 1_000, max_file_size = 10_000_000_000)]
    fn nowhere(&self) -> Discard {
        Discard
    }

    #[handle_upload("nowhere")]
    fn gone(&mut self) {}
}

struct User;

#[socket(channels = [Album, UploadChannel])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

/// The server's resources at one moment.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Held {
    pub(crate) tasks: usize,
    pub(crate) files: usize,
    pub(crate) connections: usize,
    pub(crate) sockets_and_files_open: usize,
}

pub(crate) async fn serve(folder: &str) -> Result<()> {
    FOLDER.get_or_init(|| folder.to_owned());
    let objects = format!("{folder}/objects");
    std::fs::create_dir_all(&objects)?;
    STORE.get_or_init(|| Arc::new(LocalFileSystem::new_with_prefix(objects).unwrap_or_default()));
    let options = SocketOptions::default().max_channels(1_001);
    let endpoint = Endpoint::builder()
        .socket::<User>(options.path("/socket"))
        .build()?;
    let app: Router = endpoint.router();
    let held = get(move || async move { Json(held(&endpoint)) });
    let app = app.route("/held", held).route(
        "/echo",
        get(|upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo) }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

fn held(endpoint: &Endpoint) -> Held {
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    Held {
        tasks: Handle::current().metrics().num_alive_tasks(),
        files: FOLDER.get().map_or(0, |folder| files(Path::new(folder))),
        connections: endpoint.connection_count(),
        sockets_and_files_open: open,
    }
}

/// Counts the files under a folder that hold, or have held, bytes of an upload.
fn files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let count = |path: &Path| match (path.is_dir(), path.file_name()) {
        (true, _) => files(path),
        (false, Some(name)) => usize::from(name != "lock"),
        (false, None) => 0,
    };
    entries.flatten().map(|entry| count(&entry.path())).sum()
}

/// A server in a process and a folder of its own, both removed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: String,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("server").arg(folder.path());
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().context("a server has an output")?;
        let addr = BufReader::new(stdout).lines().next_line().await?;
        let addr = addr.context("the server has ended")?;
        Ok(Server {
            child,
            addr,
            _folder: folder,
        })
    }

    /// Returns the resident memory in KiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let pid = self.child.id().context("the server has ended")?;
        let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mut lines = text.lines();
        let line = lines
            .find(|line| line.starts_with("VmRSS:"))
            .context("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
    }
}
