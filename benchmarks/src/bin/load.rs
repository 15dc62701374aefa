//! Runs the cases against the servers named, and prints a table: server CPU time per delivery,
//! memory per connection, throughput and latency.
//!
//! `load SERVER… [--case NAME]…` where SERVER is `ours`, `floor`, `floor-coalescing`, `by-hand`
//! or `by-hand-default`.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use benchmarks::{
    client::{Clients, is_reply},
    process::Server,
};

const PATH: &str = "/socket/websocket?vsn=2.0.0";

/// One measured case.
struct Row {
    server: String,
    case: &'static str,
    cpu_us: f64,
    per_second: f64,
    p50: Duration,
    p99: Duration,
    memory: f64,
}

fn main() -> Result<()> {
    let mut servers = Vec::new();
    let mut cases = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--case" => cases.push(args.next().context("--case needs a name")?),
            _ => servers.push(arg),
        }
    }
    println!("| server | case | CPU µs each | per second | p50 ms | p99 ms | KiB a socket |");
    println!("|---|---|---|---|---|---|---|");
    for name in CASES {
        if !cases.is_empty() && !cases.iter().any(|case| case == name) {
            continue;
        }
        for server in &servers {
            // The others have no channel that could intercept.
            if *name == "intercept" && server != "ours" {
                continue;
            }
            match run(server, name) {
                Ok(row) => println!("{row}"),
                Err(error) => println!("| {server} | {name} | {error:#} | | | | |"),
            }
        }
    }
    Ok(())
}

const CASES: &[&str] =
    &["fanout-1", "fanout-16", "rate-50", "echo", "idle", "storm", "intercept", "topics"];

fn start(server: &str) -> Result<Server> {
    let folder = std::env::current_exe()?.parent().context("no folder")?.to_owned();
    let binary = |name: &str| Command::new(PathBuf::from(&folder).join(name));
    let command = match server {
        "ours" if std::env::var_os("MASSIF").is_some() => {
            let mut command = Command::new("valgrind");
            command.args(["--tool=massif", "--massif-out-file=massif.out", "--detailed-freq=1"]);
            command.arg(PathBuf::from(&folder).join(server));
            command
        }
        "ours" | "floor" => binary(server),
        "floor-coalescing" => {
            let mut command = binary("floor");
            command.env("COALESCE", "1");
            command
        }
        "by-hand" => {
            let mut command = binary("by_hand");
            command.env("BUFFERS", "1024");
            command
        }
        "by-hand-default" => binary("by_hand"),
        other => bail!("no server is called {other:?}"),
    };
    Server::start(command)
}

fn run(server: &str, case: &str) -> Result<Row> {
    let process = start(server)?;
    let named = |case, (count, cpu, took, mut latencies): Measured, memory| {
        latencies.sort();
        let at = |part: f64| {
            let index = (latencies.len() as f64 * part) as usize;
            latencies.get(index).copied().unwrap_or_default()
        };
        Row {
            server: server.to_owned(),
            case,
            cpu_us: cpu.as_secs_f64() * 1e6 / count as f64,
            per_second: count as f64 / took.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
            memory,
        }
    };
    Ok(match case {
        "fanout-1" => named("fanout-1", fanout(&process, 1000, 1, 1500, "cast")?, 0.0),
        "fanout-16" => named("fanout-16", fanout(&process, 1000, 16, 4000, "cast")?, 0.0),
        "rate-50" => named("rate-50", rate(&process, 1000, 50, 150)?, 0.0),
        "echo" => named("echo", echo(&process, 100, 100_000)?, 0.0),
        "idle" => {
            let memory = idle(&process, sockets(15_000))?;
            named("idle", (1, Duration::ZERO, Duration::from_secs(1), Vec::new()), memory)
        }
        "storm" => named("storm", storm(&process, 5000)?, 0.0),
        "intercept" => named("intercept", fanout(&process, 1000, 1, 500, "seen")?, 0.0),
        "topics" => named("topics", topics(&process, 10_000, 50_000)?, 0.0),
        other => bail!("no case is called {other:?}"),
    })
}

/// How many sockets a case takes, unless `SOCKETS` says otherwise: for runs under a profiler.
fn sockets(usual: usize) -> usize {
    std::env::var("SOCKETS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// How many, the server's CPU time, the wall time, and latencies.
type Measured = (u64, Duration, Duration, Vec<Duration>);

fn join(topic: &str) -> String {
    format!(r#"["1","1","{topic}","phx_join",{{}}]"#)
}

fn cast(topic: &str, event: &str) -> String {
    format!(r#"["1","2","{topic}","{event}",{{"body":"{}"}}]"#, "x".repeat(100))
}

/// `subscribers` hear `messages`, of which `in_flight` are under way at once.
fn fanout(
    server: &Server,
    subscribers: usize,
    in_flight: usize,
    messages: usize,
    event: &str,
) -> Result<Measured> {
    let mut clients = Clients::connect(&server.addr, PATH, subscribers)?;
    clients.ask_all(|_| join("bench:1"))?;
    let message = cast("bench:1", event);
    let mut latencies = Vec::new();
    let mut round = |clients: &mut Clients, rounds: usize| -> Result<()> {
        for _ in 0..rounds {
            let started = Instant::now();
            for _ in 0..in_flight {
                clients.send(0, &message)?;
            }
            let mut left = subscribers * in_flight;
            clients.read_until(|_, payload| {
                left -= usize::from(!is_reply(payload));
                left == 0
            })?;
            latencies.push(started.elapsed());
        }
        Ok(())
    };
    round(&mut clients, 50)?;
    let (cpu, started) = (server.cpu()?, Instant::now());
    let rounds = messages / in_flight;
    round(&mut clients, rounds)?;
    let (cpu, took) = (server.cpu()? - cpu, started.elapsed());
    latencies.drain(..50);
    Ok(((rounds * in_flight * subscribers) as u64, cpu, took, latencies))
}

fn rate(server: &Server, subscribers: usize, a_second: u32, messages: usize) -> Result<Measured> {
    let mut clients = Clients::connect(&server.addr, PATH, subscribers)?;
    clients.ask_all(|_| join("bench:1"))?;
    let message = cast("bench:1", "cast");
    let mut latencies = Vec::new();
    let (cpu, started) = (server.cpu()?, Instant::now());
    for n in 0..messages {
        let due = started + Duration::from_secs(1) / a_second * n as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        clients.send(0, &message)?;
        let mut left = subscribers;
        clients.read_until(|_, payload| {
            left -= usize::from(!is_reply(payload));
            left == 0
        })?;
        latencies.push(sent.elapsed());
    }
    let cpu = server.cpu()? - cpu;
    Ok(((messages * subscribers) as u64, cpu, started.elapsed(), latencies))
}

fn echo(server: &Server, sockets: usize, messages: usize) -> Result<Measured> {
    let mut clients = Clients::connect(&server.addr, PATH, sockets)?;
    clients.ask_all(|_| join("bench:1"))?;
    let message = cast("bench:1", "echo");
    let rounds = messages / sockets;
    for _ in 0..20 {
        clients.ask_all(|_| message.clone())?;
    }
    let (cpu, started) = (server.cpu()?, Instant::now());
    for _ in 0..rounds {
        clients.ask_all(|_| message.clone())?;
    }
    let cpu = server.cpu()? - cpu;
    Ok(((rounds * sockets) as u64, cpu, started.elapsed(), Vec::new()))
}

/// KiB a joined socket, after a while.
fn idle(server: &Server, sockets: usize) -> Result<f64> {
    let before = server.memory()?;
    let mut clients = Clients::connect(&server.addr, PATH, sockets)?;
    clients.ask_all(|n| join(&format!("bench:{n}")))?;
    std::thread::sleep(Duration::from_secs(20));
    Ok((server.memory()? - before) as f64 / 1024.0 / sockets as f64)
}

fn storm(server: &Server, sockets: usize) -> Result<Measured> {
    let (cpu, started) = (server.cpu()?, Instant::now());
    let mut clients = Clients::connect(&server.addr, PATH, sockets)?;
    clients.ask_all(|n| join(&format!("bench:{n}")))?;
    Ok((sockets as u64, server.cpu()? - cpu, started.elapsed(), Vec::new()))
}

/// One subscriber a topic; broadcasts at random, 100 under way at once.
fn topics(server: &Server, topics: usize, messages: usize) -> Result<Measured> {
    let mut clients = Clients::connect(&server.addr, PATH, topics)?;
    clients.ask_all(|n| join(&format!("bench:{n}")))?;
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % topics as u64) as usize
    };
    let (cpu, started) = (server.cpu()?, Instant::now());
    for _ in 0..messages / 100 {
        for _ in 0..100 {
            let n = next();
            clients.send(n, &cast(&format!("bench:{n}"), "cast"))?;
        }
        let mut left = 100;
        clients.read_until(|_, _| {
            left -= 1;
            left == 0
        })?;
    }
    let cpu = server.cpu()? - cpu;
    Ok((messages as u64, cpu, started.elapsed(), Vec::new()))
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "| {} | {} | {:.2} | {:.0} | {:.2} | {:.2} | {:.1} |",
            self.server,
            self.case,
            self.cpu_us,
            self.per_second,
            milliseconds(self.p50),
            milliseconds(self.p99),
            self.memory
        )
    }
}
