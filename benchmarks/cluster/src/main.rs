//! Three node processes over one engine, one topic, a subscriber on each; beside them three
//! processes that use the engine's client crate by hand, in turn in the same run: `cargo run
//! --release -- redis`, or `nats`. README.md describes the measurements.

mod engine;
mod process;
mod side;
mod worker;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{
    engine::Engine,
    process::{Worker, cpu},
    side::Kind,
};

/// The number of messages of one turn of the latency, and the pause between them.
const BURST: u64 = 500;
const APART: Duration = Duration::from_millis(1);
const TURNS: usize = 10;

/// The time that one turn of the load publishes.
const LOAD: Duration = Duration::from_secs(3);

const SIDES: [(&str, Kind); 2] = [("client crate", Kind::Raw), ("nodes", Kind::Nodes)];

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [engine @ ("redis" | "nats")] => conduct(engine).await,
        ["worker", kind, url, name] => worker::run(kind.parse()?, url, name).await,
        _ => bail!("usage: cluster-benchmark redis, or: cluster-benchmark nats"),
    }
}

async fn conduct(name: &str) -> Result<()> {
    let engine = Engine::start(name).await?;
    let mut sides = Vec::new();
    for (name, kind) in SIDES {
        let mut workers = Vec::new();
        for node in ["a", "b", "c"] {
            workers.push(Worker::start(kind, &engine.url, node).await?);
        }
        for worker in &mut workers {
            worker.ask("hear latency").await?;
        }
        sides.push((name, workers));
    }
    latency(&mut sides).await?;
    for (_, workers) in &mut sides {
        for worker in workers {
            worker.ask("hear load").await?;
        }
    }
    for publishing in [1, 3] {
        for publishers in [1, 16, 64, 256] {
            let nodes = if publishing == 1 {
                "one node publishes"
            } else {
                "all three publish"
            };
            println!("\nload: {nodes}, {publishers} at once on each");
            for (name, workers) in &mut sides {
                load(name, workers, &engine, publishing, publishers).await?;
            }
        }
    }
    Ok(())
}

/// Measures the time from before the publish in one process until another one has the message.
async fn latency(sides: &mut [(&str, Vec<Worker>)]) -> Result<()> {
    let say = format!("say latency {BURST} {}", APART.as_micros());
    // One extra turn to warm up.
    for turn in 0..=TURNS {
        for (_, workers) in &mut *sides {
            workers[0].ask(&say).await?;
        }
        if turn == 0 {
            for (_, workers) in &mut *sides {
                for worker in workers {
                    worker.ask("heard latency").await?;
                }
            }
        }
    }
    let messages = BURST * TURNS as u64;
    println!("latency of {messages} messages, one a millisecond, at the two other nodes");
    println!(
        "{:<16}{:>10}{:>10}{:>12}",
        "", "p50, µs", "p99, µs", "delivered"
    );
    let mut medians = Vec::new();
    for (name, workers) in &mut *sides {
        let (mut times, mut heard) = (Vec::new(), 0);
        for worker in &mut workers[1..] {
            let answer = worker.ask("heard latency").await?;
            let mut numbers = answer.split(' ').map(str::parse::<u64>);
            heard += numbers.next().context("a count")??;
            times.extend(numbers.collect::<Result<Vec<_>, _>>()?);
        }
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or(0);
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        let of = messages * 2;
        println!(
            "{name:<16}{:>10.0}{:>10.0}{heard:>8} of {of}",
            micros(at(50)),
            micros(at(99))
        );
        medians.push(micros(at(50)));
    }
    println!(
        "nodes: the engine and {:.0} µs at p50",
        medians[1] - medians[0]
    );
    Ok(())
}

async fn load(
    name: &str,
    workers: &mut [Worker],
    engine: &Engine,
    publishing: usize,
    publishers: u64,
) -> Result<()> {
    let (used, engine_used) = (cpus(workers)?, cpu(engine.pid())?);
    let load = format!("load load {} {publishers}", LOAD.as_millis());
    for worker in &mut workers[..publishing] {
        worker.tell(&load).await?;
    }
    let mut sent = 0;
    for worker in &mut workers[..publishing] {
        sent += worker.answer().await?.parse::<u64>()?;
    }
    let mut heard = 0;
    for worker in &mut *workers {
        let answer = worker.ask("heard load").await?;
        heard += answer
            .split(' ')
            .next()
            .unwrap_or_default()
            .parse::<u64>()?;
    }
    let used: Vec<f64> = (cpus(workers)?.into_iter().zip(used))
        .map(|(now, before)| (now - before).as_secs_f64())
        .collect();
    let engine_used = (cpu(engine.pid())? - engine_used).as_secs_f64();
    let per = |seconds: f64| seconds * 1e6 / sent as f64;
    let seconds = LOAD.as_secs_f64();
    print!(
        "  {name:<14}{:>8.0} messages/s a node, CPU a message {:>5.1} µs",
        sent as f64 / seconds / publishing as f64,
        per(used.iter().sum()),
    );
    if publishing == 1 {
        let (publisher, others) = (per(used[0]), per(used[1..].iter().sum()));
        print!(
            " ({publisher:.1} where it is published, {:.1} at each other)",
            others / 2.0
        );
    }
    println!(
        ", engine {:.1} µs, {:.0} % of a core; {heard} of {} delivered",
        per(engine_used),
        engine_used / seconds * 100.0,
        sent * 3,
    );
    Ok(())
}

fn cpus(workers: &[Worker]) -> Result<Vec<Duration>> {
    workers.iter().map(|worker| cpu(worker.pid())).collect()
}
