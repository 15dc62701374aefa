//! A node: an endpoint with a listening port, in this process or in one of its own.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    time::Duration,
};

use channel_runtime::{
    Endpoint, LongPollOptions, SocketOptions,
    pubsub::{ClusterOptions, Nats, Redis, StartError, Status},
};
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::{PATIENCE, eventually, namespace::Namespace, pause, port::Port, room::User, signal};

/// A node in this process. It ends on drop.
pub struct Node {
    /// Its endpoint.
    pub endpoint: Endpoint,
    /// The address for clients.
    pub address: SocketAddr,
    server: JoinHandle<()>,
}

impl Node {
    /// Starts a node without a cluster.
    pub async fn alone() -> Self {
        let builder = Endpoint::builder().socket::<User>(sockets(WINDOW).path("/socket"));
        Node::serve(builder.build().unwrap()).await
    }

    /// Starts a node of a cluster.
    ///
    /// # Errors
    ///
    /// Returns the adapter's error.
    pub async fn connect(url: &str, options: ClusterOptions) -> Result<Self, StartError> {
        Node::connect_with(url, options, WINDOW).await
    }

    /// Does the same as [`Node::connect`], with this window for polls.
    ///
    /// # Errors
    ///
    /// Returns the adapter's error.
    pub async fn connect_with(
        url: &str,
        options: ClusterOptions,
        window: Duration,
    ) -> Result<Self, StartError> {
        Ok(Node::serve(endpoint_with(url, options, window).await?).await)
    }

    /// Serves an endpoint on a free port.
    pub async fn serve(endpoint: Endpoint) -> Self {
        Node::serve_at(endpoint, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Serves an endpoint at this address.
    pub async fn serve_at(endpoint: Endpoint, address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = endpoint.router();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Node {
            endpoint,
            address,
            server,
        }
    }

    /// Waits until it reaches the engine and all its subscriptions are confirmed.
    pub async fn up(&self) {
        up(&self.endpoint).await;
    }

    /// Waits until it knows that the engine is out of reach.
    pub async fn down(&self) {
        eventually("down", || !self.endpoint.health().is_up()).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Waits until an endpoint reaches the engine and all its subscriptions are confirmed: the
/// heartbeat is sent when the subscriptions of its own names are confirmed, and `confirmed` waits
/// for others.
pub async fn up(endpoint: &Endpoint) {
    eventually("up", || endpoint.health().status == Status::Up).await;
    let probe = endpoint.subscribe("probe");
    probe.confirmed().await;
}

/// Returns options with short intervals, so that a node quickly finds a broken connection and comes
/// back, and the tests are quick. It waits longer for an answer than a busy machine may take.
pub fn impatient() -> ClusterOptions {
    ClusterOptions::new()
        .timeout(BROKEN)
        .heartbeat(Duration::from_millis(200))
        .backoff(Duration::from_millis(10), Duration::from_millis(100))
}

/// The time without an answer after which an [`impatient`] node gives the engine up.
pub const BROKEN: Duration = Duration::from_secs(5);

/// The time that a join waits for the engine: long enough for any engine that runs.
const CONFIRM: Duration = PATIENCE;

/// The time that a poll waits.
pub const WINDOW: Duration = Duration::from_secs(10);

fn sockets(window: Duration) -> SocketOptions {
    SocketOptions::default()
        .long_poll(LongPollOptions::default().window(window))
        .outbox_frames(200_000)
        .outbox_bytes(256 << 20)
        .mailbox_messages(10_000)
}

/// Creates an endpoint of a cluster, without a port.
///
/// # Errors
///
/// Returns the adapter's error.
pub async fn endpoint(url: &str, options: ClusterOptions) -> Result<Endpoint, StartError> {
    endpoint_with(url, options, WINDOW).await
}

async fn endpoint_with(
    url: &str,
    options: ClusterOptions,
    window: Duration,
) -> Result<Endpoint, StartError> {
    let options = options.subscribe_timeout(CONFIRM);
    let builder = Endpoint::builder()
        .secret_key("one secret for all the nodes of the tests")
        .socket::<User>(sockets(window).path("/socket"));
    let builder = if url.starts_with("redis") {
        builder.pubsub(Redis::connect_with(url, options).await?)
    } else {
        builder.pubsub(Nats::connect_with(url, options).await?)
    };
    Ok(builder.build().unwrap())
}

/// A node in a process of its own.
pub struct NodeProcess {
    child: Child,
    /// The address for clients.
    pub address: SocketAddr,
    /// Keeps the port from other processes once the node is dead.
    _port: Option<Port>,
}

impl NodeProcess {
    /// Starts one. `program` is the binary `cluster-node`.
    pub fn start(program: &str, url: &str, name: &str) -> Self {
        let port = Port::hold();
        let mut command = Command::new(program);
        command.args([url, name, &port.address().to_string()]);
        NodeProcess::run(command, name, Some(port))
    }

    /// Starts an [`impatient`] one in a separate network.
    pub fn start_in(namespace: &Namespace, program: &str, url: &str, name: &str) -> Self {
        let mut command = namespace.command(program);
        let address = SocketAddr::from((namespace.inside(), 0)).to_string();
        command.args([url, name, &address, "impatient"]);
        NodeProcess::run(command, name, None)
    }

    fn run(mut command: Command, name: &str, port: Option<Port>) -> Self {
        command.stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().parse();
        NodeProcess {
            address: address.unwrap_or_else(|_| panic!("node {name} said {line:?}")),
            child,
            _port: port,
        }
    }

    /// Pauses it.
    pub fn pause(&self) {
        pause(&self.child);
    }

    /// Resumes it.
    pub fn resume(&self) {
        signal(&self.child, Signal::CONT);
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
