//! Starts what belongs together: a Redis of its own, unless it is given one, and two nodes.

use std::{env, net::Ipv4Addr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};

pub(crate) async fn run() -> Result<()> {
    let port = match env::var("PORT") {
        Ok(port) => port.parse().context("PORT must be a number")?,
        Err(_) => 4000,
    };
    let (_redis, url) = match env::var("PUBSUB_URL") {
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
    let (mut nodes, mut inputs) = (Vec::new(), Vec::new());
    for (name, port) in ["a", "b"].into_iter().zip([port, next(port)?]) {
        let (mut node, address) = start_node(name, &url, port, &secret).await?;
        // Waiting for a process closes its input, unless that is taken first.
        inputs.push(node.stdin.take());
        println!("node {name}: {address}");
        nodes.push(node);
    }
    let [a, b] = &mut nodes[..] else {
        bail!("two nodes were started");
    };
    tokio::select! {
        ended = a.wait() => bail!("node a has ended: {}", ended?),
        ended = b.wait() => bail!("node b has ended: {}", ended?),
        () = asked_to_stop() => {}
    }
    // The end of its standard input asks a node to stop in order.
    drop(inputs);
    for node in &mut nodes {
        node.wait().await?;
    }
    Ok(())
}

/// The second node's port.
fn next(port: u16) -> Result<u16> {
    match port {
        0 => Ok(0),
        _ => port.checked_add(1).context("PORT leaves no room for two"),
    }
}

/// One for as long as the nodes live.
fn secret() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn start_node(name: &str, url: &str, port: u16, secret: &str) -> Result<(Child, String)> {
    let mut command = Command::new(env::current_exe()?);
    command
        .args(["node", name, url])
        .env("PORT", port.to_string())
        .env("SECRET_KEY", secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut node = command.spawn()?;
    let output = node.stdout.take().context("a node has an output")?;
    let address = BufReader::new(output).lines().next_line().await?;
    let address = address.with_context(|| format!("node {name} does not start"))?;
    Ok((node, address))
}

/// A Redis that keeps nothing, on a free port.
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
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = free.local_addr()?.port();
        drop(free);
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
            ready = timeout(Duration::from_secs(10), ready) => {
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

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};

    let kinds = [SignalKind::terminate(), SignalKind::interrupt()];
    let signals = kinds.map(|kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    });
    let [terminate, interrupt] = signals;
    tokio::select! {
        () = terminate => {}
        () = interrupt => {}
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
