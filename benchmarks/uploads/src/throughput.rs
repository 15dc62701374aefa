//! One upload to a temporary file beside a plain WebSocket that echoes the same bytes.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{
    page::{Page, echo},
    server::Server,
};

const SIZE: u64 = 256 << 20;
const RUNS: usize = 5;

/// The uploads, each with the number of chunks in flight at once: a stock client has one.
const UPLOADS: [(&str, usize, &str); 4] = [
    ("files", 1, "to a TempFile"),
    ("files", 2, "to a TempFile, 2 chunks at once"),
    ("objects", 1, "to a local store"),
    ("nowhere", 1, "to Discard"),
];

pub(crate) async fn measure() -> Result<()> {
    let server = Server::start().await?;
    let mut echoes = Vec::new();
    let mut uploads = vec![Vec::new(); UPLOADS.len()];
    for run in 0..RUNS as u64 {
        let started = Instant::now();
        echo(&server.addr, SIZE).await?;
        echoes.push(started.elapsed());
        for ((upload, at_once, _), times) in UPLOADS.iter().zip(&mut uploads) {
            let mut page = Page::open(&server.addr).await?;
            let started = Instant::now();
            page.send_file(upload, run, SIZE, *at_once).await?;
            times.push(started.elapsed());
        }
    }
    let echo = median(echoes);
    println!(
        "throughput, {} MiB in chunks of 64,000, median of {RUNS}:",
        SIZE >> 20
    );
    println!("  {:<34}{}", "plain WebSocket echo", shown(echo));
    for ((_, _, name), times) in UPLOADS.iter().zip(uploads) {
        let time = median(times);
        let ratio = time.as_secs_f64() / echo.as_secs_f64();
        println!("  {name:<34}{}  {ratio:.2} × the echo", shown(time));
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn shown(time: Duration) -> String {
    let rate = SIZE as f64 / time.as_secs_f64() / f64::from(1 << 20);
    format!("{:>6.0} ms  {rate:>6.0} MiB/s", time.as_secs_f64() * 1e3)
}
