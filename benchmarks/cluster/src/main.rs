//! Three nodes, one topic, a subscriber on each, beside the engine's client crate doing the same
//! in the same run: `cargo run --release -- redis://127.0.0.1:6379` or `nats://127.0.0.1:4222`.
//!
//! Latency: from before a publish until two other nodes have it; one at a time, the two sides in
//! turn. Throughput: 64 publishers that wait for each answer; CPU is that of this process, so
//! of the publisher and its two receivers together.

mod raw;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use channel_runtime::{
    Endpoint, Payload,
    pubsub::{ClusterOptions, Nats, Redis},
};

use tokio::task::JoinSet;

use crate::raw::Raw;

const ROUNDS: usize = 5000;
const PUBLISHERS: u64 = 64;
const SECONDS: u64 = 3;
const BODY: usize = 200;

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args()
        .nth(1)
        .context("usage: cluster-benchmark URL")?;
    let nodes = [
        node(&url, "a").await?,
        node(&url, "b").await?,
        node(&url, "c").await?,
    ];
    let raw = Raw::connect(&url).await?;
    latency(&nodes, &raw).await?;
    for turn in 1..=3 {
        println!("\nthroughput, run {turn}");
        let count = Arc::new(AtomicU64::new(0));
        // Dropped at the end of its turn, so that the next has no more receivers than this.
        let receivers = raw.count(count.clone()).await?;
        let sender = raw.sender();
        throughput("client crate", &count, move || {
            let sender = sender.clone();
            async move { sender.publish(Bytes::from(vec![b'x'; BODY])).await }
        })
        .await?;
        drop(receivers);
        let count = Arc::new(AtomicU64::new(0));
        let mut receivers = JoinSet::new();
        for node in &nodes[1..] {
            let (mut heard, count) = (node.subscribe("load"), count.clone());
            heard.confirmed().await;
            receivers.spawn(async move {
                loop {
                    heard.recv().await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let endpoint = nodes[0].clone();
        throughput("nodes", &count, move || {
            let endpoint = endpoint.clone();
            async move {
                let payload = Payload::binary(vec![b'x'; BODY]);
                Ok(endpoint.broadcast_raw("load", "x", payload).await?)
            }
        })
        .await?;
    }
    Ok(())
}

async fn node(url: &str, name: &str) -> Result<Endpoint> {
    let options = ClusterOptions::new().node(name);
    let builder = Endpoint::builder();
    let builder = if url.starts_with("redis") {
        builder.pubsub(Redis::connect_with(url, options).await?)
    } else {
        builder.pubsub(Nats::connect_with(url, options).await?)
    };
    Ok(builder.build()?)
}

async fn latency(nodes: &[Endpoint; 3], raw: &Raw) -> Result<()> {
    let [a, b, c] = nodes;
    let (mut at_b, mut at_c) = (b.subscribe("latency"), c.subscribe("latency"));
    at_b.confirmed().await;
    at_c.confirmed().await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut sides = raw.receivers().await?;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let payload = Payload::binary(vec![b'x'; BODY]);
        let (sent, ..) = tokio::join!(
            a.broadcast_raw("latency", "x", payload),
            at_b.recv(),
            at_c.recv()
        );
        sent?;
        ours.push(began.elapsed());
        let began = Instant::now();
        let body = Bytes::from(vec![b'x'; BODY]);
        let ([one, two], sender) = (&mut sides, raw.sender_to_latency());
        let (sent, ..) = tokio::join!(sender.publish(body), one.recv(), two.recv());
        sent?;
        theirs.push(began.elapsed());
    }
    println!("latency of {ROUNDS} rounds     p50        p99");
    for (name, times) in [("client crate", &mut theirs), ("nodes", &mut ours)] {
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100];
        println!("  {name:<20}{:>9.1?}  {:>9.1?}", at(50), at(99));
    }
    Ok(())
}

async fn throughput<F>(
    name: &str,
    received: &Arc<AtomicU64>,
    publish: impl Fn() -> F + Clone + Send + 'static,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send,
{
    let sent = Arc::new(AtomicU64::new(0));
    let (cpu, began) = (cpu()?, Instant::now());
    let until = began + Duration::from_secs(SECONDS);
    let mut tasks = Vec::new();
    for _ in 0..PUBLISHERS {
        let (publish, sent) = (publish.clone(), sent.clone());
        tasks.push(tokio::spawn(async move {
            while Instant::now() < until {
                publish().await?;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    // What is still on its way arrives.
    let mut before = 0;
    while before != received.load(Ordering::Relaxed) {
        before = received.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sent = sent.load(Ordering::Relaxed);
    let used = crate::cpu()?.saturating_sub(cpu);
    println!(
        "  {name:<16}{:>9.0} messages/s  {:>6.1} µs of CPU a message  {} of {} delivered",
        sent as f64 / SECONDS as f64,
        used.as_secs_f64() * 1e6 / sent as f64,
        received.load(Ordering::Relaxed),
        sent * 2,
    );
    Ok(())
}

/// CPU time of all threads of this process so far.
fn cpu() -> Result<Duration> {
    let mut total = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}
