//! A thousand uploads, of which a third are completed, a third cancelled, and a third lose their
//! client by `kill -9`; and the server's resources before and after.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    time::{Duration, sleep},
};

use crate::{
    page::{CHUNK, Page},
    server::{Held, Server},
};

const EACH: u64 = 334;
/// More than a part of an object store, so that some are in the middle of a multipart upload.
const SIZE: u64 = 6 << 20;

pub(crate) async fn measure(upload: &str) -> Result<()> {
    let server = Server::start().await?;
    // The first upload creates the permanent resources: threads, the process's folder and its lock.
    Page::open(&server.addr).await?.file(upload, 0, 1).await?;
    let before = settled(&server, None).await?;
    let mut most = before;
    for _ in 0..EACH.div_ceil(20) {
        let mut page = Page::open(&server.addr).await?;
        for entry in 0..20 {
            page.file(upload, entry, 100_000).await?;
        }
        for entry in 20..40 {
            page.begin(upload, entry, SIZE).await?;
            page.chunk(entry, &vec![1; CHUNK]).await?;
        }
        most = max(most, held(&server).await?);
        for entry in 20..40 {
            page.cancel(upload, entry).await?;
        }
        let mut client = Command::new(std::env::current_exe()?)
            .args(["client", &server.addr, upload, "20"])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = client.stdout.take().context("a client has an output")?;
        let ready = BufReader::new(stdout).lines().next_line().await?;
        ensure!(ready.is_some(), "the client has ended by itself");
        most = max(most, held(&server).await?);
        // SIGKILL: the kernel closes its connection.
        client.kill().await?;
    }
    let after = settled(&server, Some(before)).await?;
    println!(
        "{upload}: {} uploads, a third each completed, cancelled and killed:",
        EACH.div_ceil(20) * 60
    );
    println!("  before       {before:?}\n  in the midst {most:?}\n  after        {after:?}");
    let objects = if upload == "objects" {
        EACH.div_ceil(20) * 20
    } else {
        0
    };
    ensure!(
        after.files as u64 == before.files as u64 + objects,
        "files were left"
    );
    ensure!(after.tasks <= before.tasks, "tasks were left");
    ensure!(after.connections == 0, "connections were left");
    Ok(())
}

/// The client that will be killed: uploads that have begun, some of them by more than a part.
pub(crate) async fn hold(addr: &str, upload: &str, count: u64) -> Result<()> {
    let mut page = Page::open(addr).await?;
    for entry in 0..count {
        page.begin(upload, entry, SIZE).await?;
        let chunks = if entry % 10 == 0 { 85 } else { 1 };
        for _ in 0..chunks {
            page.chunk(entry, &vec![1; CHUNK]).await?;
        }
    }
    println!("ready");
    std::future::pending().await
}

fn max(one: Held, other: Held) -> Held {
    Held {
        tasks: one.tasks.max(other.tasks),
        files: one.files.max(other.files),
        connections: one.connections.max(other.connections),
        sockets_and_files_open: one.sockets_and_files_open.max(other.sockets_and_files_open),
    }
}

/// Waits until the server's resources no longer change, or are as few as before, and returns them.
async fn settled(server: &Server, goal: Option<Held>) -> Result<Held> {
    let mut last = held(server).await?;
    for _ in 0..50 {
        sleep(Duration::from_millis(100)).await;
        let now = held(server).await?;
        let quiet = now == last && now.connections == 0;
        if quiet && goal.is_none_or(|goal| now.tasks <= goal.tasks) {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}

async fn held(server: &Server) -> Result<Held> {
    let mut stream = TcpStream::connect(&server.addr).await?;
    let request = "GET /held HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    Ok(serde_json::from_str(body)?)
}
