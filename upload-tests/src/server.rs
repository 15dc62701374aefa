//! S3 over HTTP, from a directory.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use hyper::{
    Method, StatusCode, body::Incoming, header::CONTENT_LENGTH, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use s3s::{
    Body, HttpResponse,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::AbortHandle};

pub(crate) const BUCKET: &str = "uploads";
pub(crate) const KEY: &str = "key";
pub(crate) const SECRET: &str = "secret";

/// A server with one empty bucket. It ends on drop.
pub struct Server {
    directory: TempDir,
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    s3: S3Service,
    requests: Mutex<Vec<Request>>,
    fault: Mutex<Option<(Matches, Fault)>>,
    held: watch::Sender<usize>,
    released: watch::Sender<bool>,
    parts_now: AtomicUsize,
    most_parts: AtomicUsize,
}

/// Selects the requests of a fault.
pub type Matches = fn(&Request) -> bool;

/// A fault of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The request is refused, which no client tries again.
    Refuse,
    /// The server does not read it before [`Server::release`].
    Hold,
    /// The server carries it out, and does not answer before [`Server::release`].
    HoldAnswer,
}

/// A request, with the parts that matter here.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `PUT`, …
    pub method: Method,
    /// The text after `?`.
    pub query: String,
    /// The length of its body.
    pub length: usize,
}

impl Request {
    /// Returns true if it asks for the id of a multipart upload.
    pub fn begins(&self) -> bool {
        self.method == Method::POST && self.query.starts_with("uploads")
    }

    /// Returns the number of the part that it uploads.
    pub fn part(&self) -> Option<usize> {
        let mut pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let (_, number) = pairs.find(|(name, _)| *name == "partNumber")?;
        number.parse().ok()
    }

    /// Returns true if it makes an object of the parts.
    pub fn completes(&self) -> bool {
        self.method == Method::POST && self.query.contains("uploadId")
    }

    /// Returns true if it aborts a multipart upload, or deletes objects.
    pub fn gives_up(&self) -> bool {
        self.method == Method::DELETE || self.query.starts_with("delete")
    }

    /// Returns true if it uploads a whole object.
    pub fn puts(&self) -> bool {
        self.method == Method::PUT && self.part().is_none()
    }
}

impl Server {
    /// Starts a server on a free port of the loopback.
    pub async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join(BUCKET)).unwrap();
        let mut s3 = S3ServiceBuilder::new(FileSystem::new(directory.path()).unwrap());
        s3.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let state = Arc::new(State {
            s3: s3.build(),
            requests: Mutex::default(),
            fault: Mutex::default(),
            held: watch::Sender::new(0),
            released: watch::Sender::new(false),
            parts_now: AtomicUsize::new(0),
            most_parts: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, state.clone())).abort_handle();
        Server {
            directory,
            address,
            state,
            accepting,
        }
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Applies a fault to every request that `matches`.
    pub fn fault(&self, matches: Matches, fault: Fault) {
        *self.state.fault.lock() = Some((matches, fault));
    }

    /// Waits until this many requests are held.
    pub async fn holds(&self, requests: usize) {
        let mut held = self.state.held.subscribe();
        held.wait_for(|held| *held >= requests).await.unwrap();
    }

    /// Releases all requests.
    pub fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// Returns the requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().clone()
    }

    /// Returns the largest number of parts that were in flight at the same time.
    pub fn most_parts(&self) -> usize {
        self.state.most_parts.load(SeqCst)
    }

    /// Returns the names of the objects in the bucket.
    pub fn objects(&self) -> Vec<PathBuf> {
        self.files_in(BUCKET)
    }

    /// Returns all other files: unfinished uploads, their parts, half-written files.
    pub fn remains(&self) -> Vec<PathBuf> {
        let mut files = self.files_in("");
        files.retain(|file| {
            let name = file.file_name().unwrap().to_string_lossy();
            // This server keeps the metadata of an object when the object is deleted.
            !name.starts_with(".bucket-") || name.contains(".upload-")
        });
        files
    }

    fn files_in(&self, directory: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path().join(directory)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_file()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = state.clone();
        let service = service_fn(move |request| serve(state.clone(), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // Some tests drop the client, so an error is expected here.
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn serve(
    state: Arc<State>,
    request: hyper::Request<Incoming>,
) -> Result<HttpResponse, Infallible> {
    let length = request.headers().get(CONTENT_LENGTH);
    let seen = Request {
        method: request.method().clone(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        length: length.map_or(0, |length| length.to_str().unwrap().parse().unwrap()),
    };
    state.requests.lock().push(seen.clone());
    let fault = *state.fault.lock();
    let fault = fault
        .filter(|(matches, _)| matches(&seen))
        .map(|(_, fault)| fault);
    let _counted = seen.part().map(|_| PartInFlight::new(&state));

    if let Some(Fault::Hold) = fault {
        state.hold().await;
    }
    let response = match fault {
        Some(Fault::Refuse) => {
            let mut refusal = HttpResponse::new(Body::empty());
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            refusal
        }
        _ => hyper::service::Service::call(&state.s3, request)
            .await
            .unwrap(),
    };
    if let Some(Fault::HoldAnswer) = fault {
        state.hold().await;
    }
    Ok(response)
}

impl State {
    async fn hold(&self) {
        self.held.send_modify(|held| *held += 1);
        let mut released = self.released.subscribe();
        released.wait_for(|released| *released).await.unwrap();
    }
}

struct PartInFlight<'s>(&'s State);

impl<'s> PartInFlight<'s> {
    fn new(state: &'s State) -> Self {
        let now = state.parts_now.fetch_add(1, SeqCst) + 1;
        state.most_parts.fetch_max(now, SeqCst);
        PartInFlight(state)
    }
}

impl Drop for PartInFlight<'_> {
    fn drop(&mut self) {
        self.0.parts_now.fetch_sub(1, SeqCst);
    }
}
