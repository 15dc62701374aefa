//! Disconnects many sockets and shows when each went: `cargo xtask drain [sockets]`.
//!
//! The server is a process of its own, since both ends of 5,000 connections are more files than
//! one process may open on many machines.

use std::{
    env,
    error::Error,
    process::{ExitCode, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use channel_runtime::{DrainOptions, prelude::*, serve::listen};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, Utf8Bytes},
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

const SOCKETS: usize = 5_000;
const MOST: usize = 9_000;

/// Ten batches in the first two seconds.
const BATCHES: usize = 10;
const INTERVAL: Duration = Duration::from_millis(200);

/// The time that a channel takes to terminate, as if it wrote to a database.
const TERMINATE: Duration = Duration::from_millis(50);

const PATIENCE: Duration = Duration::from_secs(60);

static TERMINATED: AtomicUsize = AtomicUsize::new(0);

struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[terminate]
    async fn terminate(self, reason: Reason) {
        tokio::time::sleep(TERMINATE).await;
        if reason == Reason::Draining {
            TERMINATED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let word = env::args().nth(1);
    let done = match word.as_deref() {
        Some("serve") => serve(number(env::args().nth(2).as_deref())).await,
        word => drain(number(word)).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("drain: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(word: Option<&str>) -> usize {
    let given = word.and_then(|word| word.parse().ok());
    given.unwrap_or(SOCKETS).clamp(1, MOST)
}

/// Runs the server, which SIGTERM stops.
async fn serve(sockets: usize) -> Outcome<()> {
    let options = DrainOptions::default()
        .batch_size(sockets.div_ceil(BATCHES))
        .batch_interval(INTERVAL);
    let builder = Endpoint::builder().socket::<User>("/socket");
    let endpoint = builder.drainer(options).build()?;
    let listener = listen(([127, 0, 0, 1], 0)).await?;
    let server = endpoint.serve(listener, endpoint.router());
    println!("{}", server.local_addr()?);
    server.await?;
    let terminated = TERMINATED.load(Ordering::Relaxed);
    println!("{terminated} {}", endpoint.connection_count());
    Ok(())
}

/// Runs the clients.
async fn drain(sockets: usize) -> Outcome<()> {
    let (mut server, mut output, address) = start(sockets).await?;
    let clients = connect(&address, sockets).await?;
    println!("{sockets} sockets have joined");
    let mut closings = JoinSet::new();
    let pid = server.id().ok_or("the server is gone")?;
    let stop = Instant::now();
    let killed = Command::new("kill").arg(pid.to_string()).status().await?;
    if !killed.success() {
        return Err("the server cannot be told to stop".into());
    }
    for client in clients {
        closings.spawn(closing(client, stop));
    }
    let mut closed = Vec::with_capacity(sockets);
    while let Some(closing) = timeout(PATIENCE, closings.join_next()).await? {
        closed.push(closing??);
    }
    let mut rest = String::new();
    timeout(PATIENCE, output.read_to_string(&mut rest)).await??;
    let status = timeout(PATIENCE, server.wait()).await??;
    let ended = stop.elapsed();
    timeline(&closed);
    let codes = closed.iter().filter(|(_, code)| *code == 1012).count();
    let told = format!("{sockets} 0");
    println!(
        "closed with 1012: {codes}; terminated and left open: {}; the server ended after {} ms",
        rest.trim(),
        ended.as_millis()
    );
    if codes == sockets && rest.trim() == told && status.success() {
        Ok(())
    } else {
        Err(format!("expected {told:?} and all 1012; the server ended with {status}").into())
    }
}

async fn start(sockets: usize) -> Outcome<(Child, BufReader<ChildStdout>, String)> {
    let mut server = Command::new(env::current_exe()?)
        .args(["serve", &sockets.to_string()])
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = server.stdout.take().ok_or("no output")?;
    let mut output = BufReader::new(output);
    let mut line = String::new();
    timeout(PATIENCE, output.read_line(&mut line)).await??;
    Ok((server, output, line.trim_end().to_owned()))
}

/// Connects them, at most a hundred at a time, each with a channel of its own.
async fn connect(address: &str, sockets: usize) -> Outcome<Vec<Client>> {
    let mut clients = Vec::with_capacity(sockets);
    let mut connecting = JoinSet::new();
    let mut next = 0;
    while clients.len() < sockets {
        while next < sockets && connecting.len() < 100 {
            connecting.spawn(join(address.to_owned(), next));
            next += 1;
        }
        let joined = timeout(PATIENCE, connecting.join_next()).await?;
        clients.push(joined.ok_or("nobody connects")???);
    }
    Ok(clients)
}

async fn join(address: String, number: usize) -> Outcome<Client> {
    let url = format!("ws://{address}/socket/websocket?vsn=2.0.0");
    let mut client = connect_async(url).await?.0;
    let join = format!(r#"["1","1","room:{number}","phx_join",{{}}]"#);
    client.send(Message::Text(Utf8Bytes::from(join))).await?;
    let joined = client.next().await.ok_or("closed")??;
    if !joined.to_text()?.contains(r#""status":"ok""#) {
        return Err(format!("not joined: {joined}").into());
    }
    Ok(client)
}

/// Returns the time at which a client was closed, and the code.
async fn closing(mut client: Client, since: Instant) -> Outcome<(Duration, u16)> {
    loop {
        match client.next().await.ok_or("gone without a close")?? {
            Message::Close(frame) => {
                let closed = (since.elapsed(), frame.map_or(0, |frame| frame.code.into()));
                // Reads on, so that the close is answered.
                while let Some(Ok(_)) = client.next().await {}
                return Ok(closed);
            }
            other if other.is_text() => return Err(format!("before the close: {other}").into()),
            _ => {}
        }
    }
}

/// Prints how many were closed in each tenth of a second.
fn timeline(closed: &[(Duration, u16)]) {
    let tenth = |at: &Duration| usize::try_from(at.as_millis() / 100).unwrap_or(usize::MAX);
    let last = closed.iter().map(|(at, _)| tenth(at)).max().unwrap_or(0);
    for slot in 0..=last {
        let count = closed.iter().filter(|(at, _)| tenth(at) == slot).count();
        let bar = "#".repeat(count.div_ceil(20));
        println!("{:>5} ms  {count:>5}  {bar}", slot * 100);
    }
}
