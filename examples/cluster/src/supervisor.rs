//! Starts the cluster: a Redis of its own, unless it is given one, and two nodes.

use std::{env, net::Ipv4Addr, path::PathBuf, pin::pin, process::Stdio, time::Duration};

use anyhow::{Context, Error, Result, anyhow, bail};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::{TcpSocket, TcpStream},
    process::{Child, ChildStdin, Command},
    time::{sleep, timeout},
};

pub(crate) async fn run() -> Result<()> {
    // Before anything starts that must be stopped.
    let mut stop = pin!(asked_to_stop()?);
    let mut cluster = tokio::select! {
        started = Cluster::start() => started?,
        // The processes started so far end on drop.
        () = &mut stop => return Ok(()),
    };
    tokio::select! {
        biased;
        // If the whole terminal is asked to stop, the nodes also end by themselves.
        () = stop => cluster.end().await,
        error = cluster.broken() => Err(error),
    }
}

/// The processes of the cluster.
struct Cluster {
    _redis: Option<Redis>,
    a: Node,
    b: Node,
}

impl Cluster {
    async fn start() -> Result<Self> {
        let port = match env::var("PORT") {
            Ok(port) => port.parse().context("PORT must be a number")?,
            Err(_) => 4000,
        };
        let (redis, url) = match env::var("PUBSUB_URL") {
            Ok(url) => (None, url),
            Err(_) => {
                let redis = Redis::start().await?;
                let url = redis.url.clone();
                (Some(redis), url)
            }
        };
        let secret = match env::var("SECRET_KEY") {
            Ok(secret) => secret,
            Err(_) => secret()?,
        };
        let a = Node::start("a", &url, port, &secret).await?;
        let b = Node::start("b", &url, next(port)?, &secret).await?;
        Ok(Cluster {
            _redis: redis,
            a,
            b,
        })
    }

    /// Ready when a node ends by itself.
    async fn broken(&mut self) -> Error {
        let (name, ended) = tokio::select! {
            ended = self.a.process.wait() => ("a", ended),
            ended = self.b.process.wait() => ("b", ended),
        };
        match ended {
            Ok(status) => anyhow!("node {name} has ended: {status}"),
            Err(error) => error.into(),
        }
    }

    /// Lets the nodes shut down gracefully.
    async fn end(self) -> Result<()> {
        let [mut a, mut b] = [self.a, self.b].map(|node| {
            drop(node.input);
            node.process
        });
        a.wait().await?;
        b.wait().await?;
        Ok(())
    }
}

/// Returns the second node's port.
fn next(port: u16) -> Result<u16> {
    match port {
        0 => Ok(0),
        _ => port.checked_add(1).context("PORT leaves no room for two"),
    }
}

/// Returns a secret for the lifetime of the nodes.
fn secret() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A node. It ends when its standard input does.
struct Node {
    process: Child,
    input: Option<ChildStdin>,
}

impl Node {
    async fn start(name: &str, url: &str, port: u16, secret: &str) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command
            .args(["node", name, url])
            .env("PORT", port.to_string())
            .env("SECRET_KEY", secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn()?;
        let output = process.stdout.take().context("a node has an output")?;
        let address = BufReader::new(output).lines().next_line().await?;
        let address = address.with_context(|| format!("node {name} does not start"))?;
        println!("node {name}: {address}");
        // Taken first, since waiting for a process closes its input.
        let input = process.stdin.take();
        Ok(Node { process, input })
    }
}

/// A Redis without persistence, on a free port.
struct Redis {
    url: String,
    _server: Child,
    _directory: TempDir,
}

impl Redis {
    async fn start() -> Result<Self> {
        let program = program().context(
            "redis-server is not installed; on Debian: apt-get install redis-server. Or name an \
             engine that runs: PUBSUB_URL=redis://HOST:PORT cargo run -p cluster",
        )?;
        // Held, so that no other process gets it before Redis does.
        let held = TcpSocket::new_v4()?;
        held.set_reuseaddr(true)?;
        held.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let port = held.local_addr()?.port();
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string(), "--dir"])
            .arg(directory.path())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let mut server = command.spawn()?;
        let ready = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_err()
            {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            ended = server.wait() => bail!("redis-server does not start: {}", ended?),
            ready = timeout(Duration::from_secs(60), ready) => {
                ready.context("redis-server does not listen")?;
            }
        }
        Ok(Redis {
            url: format!("redis://127.0.0.1:{port}"),
            _server: server,
            _directory: directory,
        })
    }
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut folders = env::split_paths(&path);
    folders.find_map(|folder| Some(folder.join("redis-server")).filter(|file| file.is_file()))
}

/// Returns a future that is ready once a signal to stop has come. Signals count from this call on.
#[cfg(unix)]
fn asked_to_stop() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn asked_to_stop() -> Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
