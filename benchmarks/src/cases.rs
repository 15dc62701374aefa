//! The cases, each a conversation whose cost is measured.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{
    client::Clients,
    figures::Measured,
    process::Cpu,
    protocol::Said,
    server::{Kind, Server},
};

/// A case that can be measured.
pub struct Case {
    /// The name of the case.
    pub name: &'static str,
    run: fn(&Server, Scale) -> Result<Measured>,
    needs: Needs,
}

/// The abilities that a server must have for a case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Topics,
    Intercepts,
    OwnMemory,
    TopicsAndMemory,
}

use Needs::{Intercepts, Nothing, OwnMemory, Topics, TopicsAndMemory};

/// The size of a measurement.
#[derive(Clone, Copy)]
pub struct Scale {
    /// True for a tenth of the sockets if there are thousands, and for one second instead of ten.
    pub quick: bool,
}

impl Scale {
    fn sockets(self, usual: usize) -> usize {
        // For runs under a profiler.
        let given = std::env::var("SOCKETS")
            .ok()
            .and_then(|text| text.parse().ok());
        given.unwrap_or(if self.quick && usual > 1000 {
            usual / 10
        } else {
            usual
        })
    }

    /// Returns the longest time of a run: a slow server shows its speed in fewer messages.
    fn time(self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { 10 })
    }

    fn pause(self) -> Duration {
        Duration::from_secs(if self.quick { 3 } else { 60 })
    }
}

/// All cases.
pub const CASES: &[Case] = &[
    case("fanout-1", Nothing, |server, scale| {
        fanout(server, scale, 1000, 1, "cast")
    }),
    case("fanout-16", Nothing, |server, scale| {
        fanout(server, scale, 1000, 16, "cast")
    }),
    case("rate-50", Nothing, rate),
    case("echo", Nothing, echo),
    case("idle", OwnMemory, idle),
    case("storm", Nothing, storm),
    case("intercept", Intercepts, |server, scale| {
        fanout(server, scale, 1000, 1, "seen")
    }),
    case("fanout-1-of-100", Nothing, |server, scale| {
        fanout(server, scale, 100, 1, "cast")
    }),
    case("fanout-1-of-10000", Nothing, |server, scale| {
        fanout(server, scale, scale.sockets(10_000), 1, "cast")
    }),
    case("topics-100", Topics, |server, scale| {
        topics(server, scale, 100)
    }),
    case("topics-10000", Topics, |server, scale| {
        topics(server, scale, scale.sockets(10_000))
    }),
    case("channels-1", TopicsAndMemory, |server, _| {
        channels(server, 1)
    }),
    case("channels-10", TopicsAndMemory, |server, _| {
        channels(server, 10)
    }),
    case("channels-100", TopicsAndMemory, |server, _| {
        channels(server, 100)
    }),
];

const fn case(
    name: &'static str,
    needs: Needs,
    run: fn(&Server, Scale) -> Result<Measured>,
) -> Case {
    Case { name, run, needs }
}

impl Case {
    /// Returns true if a server can be measured. `None` is an external server, a Phoenix with a
    /// topic `bench:*`.
    pub fn suits(&self, kind: Option<&Kind>) -> bool {
        let Some(kind) = kind else {
            return !matches!(self.needs, OwnMemory | TopicsAndMemory);
        };
        match kind.name {
            // It is the limit of one case.
            "floor-coalescing" => self.name == "fanout-16",
            "ours" => true,
            _ => match self.needs {
                Nothing | OwnMemory => true,
                Topics | TopicsAndMemory => kind.topics,
                Intercepts => false,
            },
        }
    }

    /// Measures the case.
    pub fn run(&self, server: &Server, scale: Scale) -> Result<Measured> {
        (self.run)(server, scale)
    }
}

/// Counts from its start: the server's CPU time and the clock.
struct Watch(Option<Cpu>, Instant);

impl Watch {
    fn start(server: &Server) -> Result<Self> {
        Ok(Watch(server.cpu()?, Instant::now()))
    }

    fn stop(self, server: &Server, count: usize, latencies: Vec<Duration>) -> Result<Measured> {
        let took = self.1.elapsed();
        let cpu = server.cpu()?.zip(self.0);
        let cpu = cpu.map(|(now, then)| now.since(then));
        Ok(Measured {
            count,
            cpu: cpu.map(|(total, _)| total),
            system: cpu.and_then(|(_, system)| system),
            took,
            latencies,
            kib_each: None,
        })
    }
}

fn joined(server: &Server, sockets: usize, topic: fn(usize) -> String) -> Result<Clients> {
    let mut clients = Clients::connect(server, sockets)?;
    let protocol = clients.protocol;
    clients.ask_all(|n| protocol.join(&topic(n)))?;
    Ok(clients)
}

fn one(_: usize) -> String {
    "bench:1".to_owned()
}

fn own(n: usize) -> String {
    format!("bench:{n}")
}

/// Sends one client's broadcasts and waits until all have reached all.
fn round(clients: &mut Clients, message: &str, in_flight: usize) -> Result<Duration> {
    let started = Instant::now();
    for _ in 0..in_flight {
        clients.send(0, message)?;
    }
    let mut left = clients.len() * in_flight;
    clients.read_until(|_, said| {
        left -= usize::from(said == Said::Delivery);
        left == 0
    })?;
    Ok(started.elapsed())
}

/// Sends one socket's messages to all sockets, with `in_flight` messages under way at once.
fn fanout(
    server: &Server,
    scale: Scale,
    subscribers: usize,
    in_flight: usize,
    event: &str,
) -> Result<Measured> {
    let mut clients = joined(server, subscribers, one)?;
    let message = clients.protocol.cast("bench:1", event);
    // One and a half million deliveries, or four.
    let all = if in_flight == 1 { 1_500_000 } else { 4_000_000 };
    let rounds = all / subscribers / in_flight;
    for _ in 0..rounds.min(50) {
        round(&mut clients, &message, in_flight)?;
    }
    let mut latencies = Vec::with_capacity(rounds);
    let watch = Watch::start(server)?;
    while latencies.len() < rounds && watch.1.elapsed() < scale.time() {
        latencies.push(round(&mut clients, &message, in_flight)?);
    }
    watch.stop(server, latencies.len() * in_flight * subscribers, latencies)
}

/// Sends at 50 messages a second.
fn rate(server: &Server, scale: Scale) -> Result<Measured> {
    const A_SECOND: u32 = 50;
    let mut clients = joined(server, 1000, one)?;
    let message = clients.protocol.cast("bench:1", "cast");
    let messages = if scale.quick { A_SECOND } else { A_SECOND * 3 };
    let mut latencies = Vec::new();
    let watch = Watch::start(server)?;
    for n in 0..messages {
        let due = watch.1 + Duration::from_secs(1) / A_SECOND * n;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        latencies.push(round(&mut clients, &message, 1)?);
    }
    watch.stop(server, messages as usize * clients.len(), latencies)
}

/// Sends pushes and waits for their answers, one under way on each socket.
fn echo(server: &Server, scale: Scale) -> Result<Measured> {
    const SOCKETS: usize = 100;
    let mut clients = joined(server, SOCKETS, one)?;
    let message = clients.protocol.echo("bench:1");
    for _ in 0..20 {
        clients.ask_all(|_| message.clone())?;
    }
    let mut latencies = Vec::new();
    let mut sent = vec![Instant::now(); SOCKETS];
    let watch = Watch::start(server)?;
    while latencies.len() < 100_000 && watch.1.elapsed() < scale.time() {
        for (client, sent) in sent.iter_mut().enumerate() {
            *sent = Instant::now();
            clients.send(client, &message)?;
        }
        let mut left = SOCKETS;
        clients.read_until(|client, said| {
            if said == Said::Answer {
                latencies.push(sent[client].elapsed());
                left -= 1;
            }
            left == 0
        })?;
    }
    watch.stop(server, latencies.len(), latencies)
}

/// Measures the memory of a joined socket with one channel, after a minute.
fn idle(server: &Server, scale: Scale) -> Result<Measured> {
    memory(server, scale.sockets(15_000), 1, scale.pause())
}

/// Measures the memory of a channel if each socket has this many.
fn channels(server: &Server, channels: usize) -> Result<Measured> {
    memory(server, 1000, channels, Duration::from_secs(3))
}

fn memory(server: &Server, sockets: usize, channels: usize, pause: Duration) -> Result<Measured> {
    let before = server
        .memory()?
        .context("its memory cannot be read from here")?;
    let mut clients = Clients::connect(server, sockets)?;
    let protocol = clients.protocol;
    for channel in 0..channels {
        clients.ask_all(|n| protocol.join(&own(n * channels + channel)))?;
    }
    clients.idle(pause)?;
    let count = sockets * channels;
    let after = server
        .memory()?
        .context("its memory cannot be read from here")?;
    Ok(Measured {
        count,
        kib_each: Some((after - before) / count as f64),
        ..Measured::default()
    })
}

/// Measures connects and joins, as when all clients come back at once.
fn storm(server: &Server, scale: Scale) -> Result<Measured> {
    let watch = Watch::start(server)?;
    let clients = joined(server, scale.sockets(5000), own)?;
    watch.stop(server, clients.len(), Vec::new())
}

/// Measures one subscriber per topic; each sends to its own, at random, with 100 under way at once.
fn topics(server: &Server, scale: Scale, topics: usize) -> Result<Measured> {
    const IN_FLIGHT: usize = 100;
    let mut clients = joined(server, topics, own)?;
    let protocol = clients.protocol;
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % topics as u64) as usize
    };
    let mut latencies = Vec::new();
    let watch = Watch::start(server)?;
    while latencies.len() * IN_FLIGHT < 100_000 && watch.1.elapsed() < scale.time() {
        let started = Instant::now();
        for _ in 0..IN_FLIGHT {
            let n = next();
            clients.send(n, &protocol.cast(&own(n), "cast"))?;
        }
        let mut left = IN_FLIGHT;
        clients.read_until(|_, said| {
            left -= usize::from(said == Said::Delivery);
            left == 0
        })?;
        latencies.push(started.elapsed());
    }
    watch.stop(server, latencies.len() * IN_FLIGHT, latencies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::named;

    fn suits(case: &str, server: &str) -> bool {
        let case = CASES.iter().find(|known| known.name == case).unwrap();
        case.suits(Some(named(server).unwrap()))
    }

    #[test]
    fn a_server_without_topics_is_not_asked_for_many() {
        assert!(suits("topics-10000", "ours") && suits("topics-10000", "ws"));
        assert!(!suits("topics-10000", "by-hand") && !suits("channels-10", "by-hand"));
    }

    #[test]
    fn anothers_server_is_not_asked_for_its_memory() {
        for case in CASES {
            let about_memory = case.name == "idle" || case.name.starts_with("channels");
            assert_eq!(case.suits(None), !about_memory, "{}", case.name);
        }
    }
}
