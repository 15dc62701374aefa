//! The world of one seed.

mod check;
mod happen;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;

use crate::presence::{
    client::{StockClient, StrictClient},
    message::Message,
    meta::MetaRef,
    replica::{Address, Holder, Output, Replica, Timing},
};

const ROOMS: [&str; 2] = ["room:1", "room:2"];
const KEYS: [&str; 3] = ["ann", "bob", "7"];

/// The longest that a dead or deleted presence may stay with a node that is connected: the time
/// until silence is noticed, and some pulls that are lost.
const GHOST: Duration = Duration::from_secs(30);

/// From then on an entry is known to all nodes of a calm world.
const SETTLED: Duration = Duration::from_secs(3);

const GRACE: Duration = Duration::from_secs(10);

/// A rule of the world that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A client gets the state of before it was subscribed.
    StaleState,
    /// Messages that ask for what is missing are lost.
    NoPulls,
    /// Dead nodes go on beating.
    DeadBeats,
    /// A node tells of an entry that is another's.
    Forged,
    /// An update is a leave and a join, in two frames.
    UpdateLeaves,
}

/// Counts of the events in runs, to prove that each kind occurs.
#[derive(Debug, Default)]
pub(super) struct Seen {
    diffs: u64,
    pulls: u64,
    taken_over: u64,
    kills: u64,
    cuts: u64,
    repeated: u64,
    lost: u64,
    updates: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: &Seen) {
        self.diffs += other.diffs;
        self.pulls += other.pulls;
        self.taken_over += other.taken_over;
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.repeated += other.repeated;
        self.lost += other.lost;
        self.updates += other.updates;
    }

    pub(super) fn assert_all(&self) {
        let all = [
            self.diffs,
            self.pulls,
            self.taken_over,
            self.kills,
            self.cuts,
            self.repeated,
            self.lost,
            self.updates,
        ];
        assert!(all.iter().all(|seen| *seen > 50), "{self:?}");
    }
}

#[derive(Clone, Debug, PartialEq)]
struct SimAddress {
    name: String,
    inc: u64,
}

impl Address for SimAddress {
    fn name(&self) -> &str {
        &self.name
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let x = self.0 ^ (self.0 >> 33);
        x.wrapping_mul(0xff51_afd7_ed55_8ccd) ^ (x >> 29)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.next() % (most - least + 1))
    }
}

struct Client {
    room: usize,
    strict: StrictClient,
    stock: [StockClient; 2],
}

/// A process with its channels and the clients that it serves.
struct Process {
    inc: u64,
    replica: Replica<SimAddress>,
    clients: Vec<Client>,
    paused_until: Duration,
    /// Something may have changed since the last check.
    touched: bool,
}

struct Node {
    name: String,
    process: Option<Process>,
    /// How far its clock is ahead.
    ahead: Duration,
    cut: bool,
}

/// A user with a channel, or on the way from one to the next.
struct Session {
    room: usize,
    key: usize,
    since: Duration,
    place: Place,
    meta: u64,
}

enum Place {
    At {
        inc: u64,
        holder: Holder,
    },
    /// Until when its entry lingers.
    Lost {
        until: Duration,
    },
}

struct Letter {
    at: Duration,
    from: SimAddress,
    /// All others where this is `None`.
    to: u64,
    bytes: Bytes,
}

pub(super) struct World {
    random: Random,
    broken: Option<Broken>,
    /// No faults but repeated and reordered messages.
    calm: bool,
    now: Duration,
    nodes: Vec<Node>,
    messages: Vec<Letter>,
    sessions: Vec<Session>,
    next_inc: u64,
    /// The hash of each node's entries, by version.
    history: HashMap<u64, BTreeMap<u64, u64>>,
    ghosts: HashMap<(u64, MetaRef), Duration>,
    dead: Vec<(SimAddress, Message)>,
    last_beats: HashMap<u64, Message>,
    trace: VecDeque<String>,
    seen: Seen,
    resting: bool,
}

impl World {
    /// Runs one seed.
    pub(super) fn run(seed: u64, broken: Option<Broken>) -> Result<Seen, String> {
        let mut world = World::new(seed, broken);
        let result = world.live().and_then(|()| world.rest());
        result.map_err(|error| {
            let trace: Vec<_> = world.trace.iter().map(String::as_str).collect();
            format!("{error}\n{}", trace.join("\n"))
        })?;
        for process in world.nodes.iter().filter_map(|node| node.process.as_ref()) {
            world.seen.pulls += process.replica.counts().pulls;
            world.seen.taken_over += process.replica.counts().taken_over;
        }
        Ok(world.seen)
    }

    fn new(seed: u64, broken: Option<Broken>) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let count = 1 + random.below(5);
        let calm = match broken {
            Some(Broken::UpdateLeaves | Broken::Forged) => true,
            Some(Broken::DeadBeats | Broken::NoPulls) => false,
            _ => seed.is_multiple_of(3),
        };
        let mut world = World {
            random,
            broken,
            calm,
            now: Duration::from_secs(100),
            nodes: Vec::new(),
            messages: Vec::new(),
            sessions: Vec::new(),
            next_inc: 1,
            history: HashMap::new(),
            ghosts: HashMap::new(),
            dead: Vec::new(),
            last_beats: HashMap::new(),
            trace: VecDeque::new(),
            seen: Seen::default(),
            resting: false,
        };
        for at in 0..count {
            world.nodes.push(Node {
                name: format!("n{at}"),
                process: None,
                ahead: Duration::ZERO,
                cut: false,
            });
            world.start(at);
        }
        world
    }

    fn start(&mut self, at: usize) {
        let inc = self.next_inc;
        self.next_inc += 1;
        let now = self.now + self.nodes[at].ahead;
        let mut replica = Replica::new(inc, Timing::default(), now);
        replica.set_connected(!self.nodes[at].cut, now);
        self.nodes[at].process = Some(Process {
            inc,
            replica,
            clients: Vec::new(),
            paused_until: Duration::ZERO,
            touched: true,
        });
    }

    fn note(&mut self, event: impl FnOnce() -> String) {
        let line = format!("{:>9.3} {}", self.now.as_secs_f64(), event());
        self.trace.push_back(line);
        if self.trace.len() > 80 {
            self.trace.pop_front();
        }
    }

    fn live(&mut self) -> Result<(), String> {
        for _ in 0..120 {
            self.happen()?;
            let step = self.random.millis(10, 400);
            self.pass(step)?;
        }
        Ok(())
    }

    /// Heals everything, lets time pass, and compares.
    fn rest(&mut self) -> Result<(), String> {
        self.resting = true;
        for at in 0..self.nodes.len() {
            self.set_cut(at, false, true);
            if let Some(process) = &mut self.nodes[at].process {
                process.paused_until = Duration::ZERO;
            }
        }
        self.note(|| "rest".to_owned());
        for _ in 0..35 {
            self.pass(Duration::from_secs(1))?;
        }
        self.check_agreement()
    }

    /// Lets time pass in small steps, each with what it brings.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now + time;
        while self.now < end {
            let step = (end - self.now).min(Duration::from_millis(80));
            self.now += step;
            self.deliver()?;
            for at in 0..self.nodes.len() {
                self.tick(at)?;
            }
            self.beat_of_the_dead();
            self.check(step)?;
        }
        Ok(())
    }

    fn running(&self, at: usize) -> Option<&Process> {
        let process = self.nodes[at].process.as_ref()?;
        (process.paused_until <= self.now).then_some(process)
    }

    fn process(&mut self, at: usize) -> Option<(&mut Process, Duration)> {
        let now = self.now;
        let node = &mut self.nodes[at];
        let local = now + node.ahead;
        let process = node.process.as_mut()?;
        (process.paused_until <= now).then_some((process, local))
    }

    fn tick(&mut self, at: usize) -> Result<(), String> {
        let Some((process, now)) = self.process(at) else {
            return Ok(());
        };
        process.replica.tick(now);
        if process.replica.idle().is_zero() {
            return Err("a node is busy after it did what was due".to_owned());
        }
        self.after(at);
        self.show(at)
    }

    /// Sends a node's due diffs to its clients.
    fn show(&mut self, at: usize) -> Result<(), String> {
        let Some((process, now)) = self.process(at) else {
            return Ok(());
        };
        let (inc, mut emptied) = (process.inc, Vec::new());
        let mut diffs = 0;
        for name in process.replica.due(now).0 {
            let Some(diff) = process.replica.take_diff(&name, now) else {
                return Err(format!("P1: a diff of {name:?} is due, and there is none"));
            };
            diffs += 1;
            process.touched = true;
            let text = diff.text();
            let here = process.clients.iter_mut();
            for client in here.filter(|client| ROOMS[client.room] == name.topic) {
                client
                    .strict
                    .diff(&text)
                    .map_err(|error| format!("P1: {error}"))?;
                client.stock.iter_mut().for_each(|stock| stock.diff(&text));
                let gone = client.strict.emptied().iter().cloned();
                emptied.extend(gone.map(|key| (client.room, key)));
            }
        }
        self.seen.diffs += diffs;
        self.check_emptied(inc, &emptied)
    }

    /// Takes what a node wants to send, and notes what it has.
    fn after(&mut self, at: usize) {
        let Some(process) = &mut self.nodes[at].process else {
            return;
        };
        let outputs = process.replica.take_outputs();
        let (inc, (version, hash)) = (process.inc, process.replica.own_hash());
        let known = self.history.entry(inc).or_default().insert(version, hash);
        process.touched |= known != Some(hash);
        for output in outputs {
            let (to, bytes) = match output {
                Output::To(to, bytes) => (Some(to), bytes),
                Output::All(bytes) => (None, bytes),
            };
            let message = Message::decode(&bytes).expect("a node writes what others can read");
            match &message {
                Message::Pull { .. } if self.broken == Some(Broken::NoPulls) => continue,
                Message::Pull { .. } => {}
                other => assert_eq!(other.inc(), inc, "P4: a node tells of itself only"),
            }
            if let Message::Beat { .. } = message {
                self.last_beats.insert(inc, message);
            }
            self.send(at, inc, to, &bytes);
        }
    }

    fn send(&mut self, at: usize, inc: u64, to: Option<SimAddress>, bytes: &Bytes) {
        if self.nodes[at].cut {
            return;
        }
        let from = SimAddress {
            name: self.nodes[at].name.clone(),
            inc,
        };
        let others = self
            .nodes
            .iter()
            .filter_map(|node| Some(node.process.as_ref()?.inc));
        let receivers: Vec<u64> = match to {
            Some(to) => vec![to.inc],
            None => others.filter(|other| *other != inc).collect(),
        };
        let faulty = !self.calm && !self.resting;
        for to in receivers {
            if faulty && self.random.chance(8) {
                self.seen.lost += 1;
                continue;
            }
            let copies = 1 + u64::from(self.random.chance(8));
            self.seen.repeated += copies - 1;
            for _ in 0..copies {
                let late = faulty && self.random.chance(5);
                let delay = match late {
                    true => self.random.millis(500, 3_000),
                    false => self.random.millis(1, 90),
                };
                self.messages.push(Letter {
                    at: self.now + delay,
                    from: from.clone(),
                    to,
                    bytes: bytes.clone(),
                });
            }
        }
    }

    fn deliver(&mut self) -> Result<(), String> {
        let now = self.now;
        let messages = std::mem::take(&mut self.messages);
        let (mut due, later): (Vec<_>, _) = messages.into_iter().partition(|one| one.at <= now);
        self.messages = later;
        due.sort_by_key(|message| message.at);
        for message in due {
            let is_receiver =
                |node: &Node| node.process.as_ref().map(|one| one.inc) == Some(message.to);
            let Some(at) = self.nodes.iter().position(is_receiver) else {
                continue;
            };
            if self.nodes[at].cut {
                continue;
            }
            match self.process(at) {
                Some((process, local)) => {
                    let beat = matches!(Message::decode(&message.bytes), Ok(Message::Beat { .. }));
                    process.touched |= !beat;
                    process
                        .replica
                        .receive(&message.from, &message.bytes, local);
                    self.after(at);
                }
                // It waits in the socket of the process that is stopped.
                None => self.messages.push(message),
            }
        }
        Ok(())
    }

    fn beat_of_the_dead(&mut self) {
        if self.broken != Some(Broken::DeadBeats) {
            return;
        }
        let receivers: Vec<u64> = self
            .nodes
            .iter()
            .filter_map(|node| Some(node.process.as_ref()?.inc))
            .collect();
        for (from, beat) in &mut self.dead {
            if let Message::Beat { seq, .. } = beat {
                *seq += 1;
            }
            for to in &receivers {
                self.messages.push(Letter {
                    at: self.now,
                    from: from.clone(),
                    to: *to,
                    bytes: beat.encode(),
                });
            }
        }
    }
}
