//! One node among those that share presences. Each node writes a log of its own entries and no
//! other; the others follow it, and ask its writer for what they miss. No I/O: messages go in and
//! come out as bytes, and the time is what the caller says.
//!
//! Two clocks follow from that time. `lived` counts what this process was running: a stop, or a
//! step of the clock, is no longer than [`MAX_STEP`] in it. `awake` counts only what of this it was
//! connected, so that nothing of the others ends because this node could not hear them.

mod follow;
mod log;
mod own;
mod peer;
#[cfg(test)]
mod properties;
mod publish;
mod table;

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;
use thiserror::Error as ThisError;

use self::{
    log::OpLog,
    peer::{Peer, Presence},
    table::Table,
};
use super::{
    message::{EntryId, RoomName},
    meta::MetaRef,
    view::{View, ViewDiff},
};

/// The longest time between two calls that counts in full.
const MAX_STEP: Duration = Duration::from_secs(2);

/// The most entries of one node that others keep.
const MAX_ENTRIES: usize = 1_000_000;

/// The most nodes that are followed.
const MAX_PEERS: usize = 1_024;

/// How long a snapshot is kept for a node that has taken a part of it.
const SNAPSHOT_KEPT: Duration = Duration::from_secs(10);

/// Where a node is written to.
pub(crate) trait Address: Clone + PartialEq {
    /// The name that a process shares with the one that ran there before it.
    fn name(&self) -> &str;
}

/// The times of a node.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    /// The shortest time between two diffs of a topic.
    pub(crate) window: Duration,
    /// How long a change may wait for others before it is sent.
    pub(crate) flush: Duration,
    /// How often a node says how far it is.
    pub(crate) beat: Duration,
    /// The silence after which a node's entries may be taken over.
    pub(crate) silent_after: Duration,
    /// The silence after which a node's entries are hidden.
    pub(crate) down_after: Duration,
    /// How long this node may be cut off before it hides the entries of others.
    pub(crate) isolation: Duration,
    /// How long hidden entries are kept.
    pub(crate) forget_after: Duration,
    /// How long the entries of a process stay once another one runs under its name.
    pub(crate) grace: Duration,
    pub(crate) pull_min: Duration,
    pub(crate) pull_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            window: Duration::from_millis(100),
            flush: Duration::from_millis(50),
            beat: Duration::from_secs(1),
            silent_after: Duration::from_secs(3),
            down_after: Duration::from_secs(15),
            isolation: Duration::from_secs(30),
            forget_after: Duration::from_secs(300),
            grace: Duration::from_secs(10),
            pull_min: Duration::from_millis(500),
            pull_max: Duration::from_secs(5),
        }
    }
}

/// The limits of a topic.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Keys of a topic.
    pub(crate) max: usize,
    /// Bytes of a meta.
    pub(crate) max_meta: usize,
    /// Metas of a key.
    pub(crate) max_per_key: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max: 1_000,
            max_meta: 1_024,
            max_per_key: 50,
        }
    }
}

/// Why a presence is not tracked.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub(crate) enum TrackError {
    #[error("the topic has {max} presences already")]
    Full { max: usize },
    #[error("the presence key {key:?} has {max} metas already")]
    KeyFull { key: String, max: usize },
    #[error("the presence meta has {len} bytes, but at most {max} are allowed")]
    MetaTooLong { len: usize, max: usize },
    /// It was untracked, or another node has it.
    #[error("the presence is not tracked")]
    NotTracked,
}

/// A channel's hold on one key, as long as it is tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Holder(u64);

/// A message that goes out.
#[derive(Clone, Debug)]
pub(crate) enum Output<A> {
    All(Bytes),
    To(A, Bytes),
}

/// The counters of a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages that could not be read, or that tell of a node under another's name.
    pub(crate) garbage: u64,
    /// Operations of later releases.
    pub(crate) unknown_ops: u64,
    /// Nodes whose entries here were not those that they have.
    pub(crate) faults: u64,
    pub(crate) pulls: u64,
    /// Entries that a new one took over without a frame to any client.
    pub(crate) taken_over: u64,
}

#[derive(Debug)]
pub(crate) struct Replica<A> {
    inc: u64,
    timing: Timing,
    table: Table,
    log: OpLog,
    next_number: u64,
    next_ref: MetaRef,
    next_holder: u64,
    holders: HashMap<Holder, u64>,
    attached: HashMap<u64, Holder>,
    /// Entries that are gone, but for the ones they replace.
    tombstones: Vec<EntryId>,
    peers: HashMap<u64, Peer<A>>,
    outputs: Vec<Output<A>>,
    clock: Clock,
    /// The version that the others were told of, and when the first change after it was made.
    told: u64,
    untold: Option<Duration>,
    next_beat: Duration,
    beats: u64,
    snapshot: Option<CachedSnapshot>,
    counts: Counts,
}

/// The clocks of a node.
#[derive(Debug)]
struct Clock {
    last: Duration,
    lived: Duration,
    awake: Duration,
    connected: bool,
    /// For how long it has not been connected.
    cut: Duration,
}

impl Clock {
    fn advance(&mut self, now: Duration) {
        let step = now.saturating_sub(self.last).min(MAX_STEP);
        self.last = now;
        self.lived += step;
        match self.connected {
            true => self.awake += step,
            false => self.cut += step,
        }
    }
}

#[derive(Debug)]
struct CachedSnapshot {
    version: u64,
    used: Duration,
    parts: Vec<Bytes>,
}

impl<A: Address> Replica<A> {
    /// A node whose process is `inc`, a number that no other one has.
    pub(crate) fn new(inc: u64, timing: Timing, now: Duration) -> Self {
        Replica {
            inc,
            timing,
            table: Table::new(inc),
            log: OpLog::default(),
            next_number: 1,
            next_ref: MetaRef { inc, number: 0 },
            next_holder: 1,
            holders: HashMap::new(),
            attached: HashMap::new(),
            tombstones: Vec::new(),
            peers: HashMap::new(),
            outputs: Vec::new(),
            clock: Clock {
                last: now,
                lived: Duration::ZERO,
                awake: Duration::ZERO,
                connected: true,
                cut: Duration::ZERO,
            },
            told: 0,
            untold: None,
            next_beat: Duration::ZERO,
            beats: 0,
            snapshot: None,
            counts: Counts::default(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    // The view for clients of this node.

    /// Returns the view of a topic, if there is anything in it.
    pub(crate) fn view(&self, room: &RoomName) -> Option<&View> {
        self.table.room(room).map(|room| &room.view)
    }

    /// Returns what clients of a topic were told so far.
    pub(crate) fn state(&mut self, room: &RoomName) -> ByteString {
        match self.table.room_mut(room) {
            Some(room) => room.view.state(),
            None => ByteString::from_static("{}"),
        }
    }

    /// Returns the topics whose next diff is due, and when the first of the others is.
    pub(crate) fn due(&mut self, now: Duration) -> (Vec<RoomName>, Option<Duration>) {
        self.table.due(now, self.timing.window)
    }

    /// Takes a topic's changes: from here on, clients know them.
    pub(crate) fn take_diff(&mut self, room: &RoomName, now: Duration) -> Option<ViewDiff> {
        self.table.room_mut(room)?.view.take_diff(now)
    }

    // Other nodes.

    /// Takes the messages that are to be sent.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output<A>> {
        std::mem::take(&mut self.outputs)
    }

    /// Says if the other nodes can be reached.
    pub(crate) fn set_connected(&mut self, connected: bool, now: Duration) {
        self.clock.advance(now);
        if connected {
            self.clock.cut = Duration::ZERO;
        }
        self.clock.connected = connected;
    }

    // Time.

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.clock.advance(now);
        for id in self.table.expire(self.clock.lived) {
            self.remove_expired(id);
        }
        self.judge_peers();
        self.drop_tombstones();
        self.yield_superseded();
        let flush_at = self.untold.map(|since| since + self.timing.flush);
        if flush_at.is_some_and(|at| at <= self.clock.lived) {
            self.flush();
        }
        if self.next_beat <= self.clock.lived {
            self.flush();
            let beat = self.beat();
            self.outputs.push(Output::All(beat));
            self.next_beat = self.clock.lived + self.timing.beat;
        }
        let kept = |snapshot: &CachedSnapshot| {
            self.clock.lived.saturating_sub(snapshot.used) < SNAPSHOT_KEPT
        };
        if !self.snapshot.as_ref().is_some_and(kept) {
            self.snapshot = None;
        }
    }

    /// Returns how long nothing is due unless something happens; the diffs of views aside.
    pub(crate) fn idle(&self) -> Duration {
        let flush = self.untold.map(|since| since + self.timing.flush);
        let peers = self.peers.values();
        let peers = peers.filter(|peer| !matches!(peer.presence, Presence::Down { .. }));
        let pulls = peers.filter_map(|peer| Some(peer.pull?.at));
        let times = [Some(self.next_beat), flush, self.table.next_deadline()];
        let first = times.into_iter().flatten().chain(pulls).min();
        first
            .unwrap_or(self.next_beat)
            .saturating_sub(self.clock.lived)
    }
}

/// Accessors for the simulation.
#[cfg(test)]
impl<A: Address> Replica<A> {
    pub(crate) fn own_hash(&self) -> (u64, u64) {
        let hash = self.table.owner(self.inc).map_or(0, |owner| owner.hash);
        (self.log.version(), hash)
    }

    /// Each node that is followed, with the version and the hash of its entries here.
    pub(crate) fn followed(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.peers.iter().map(|(inc, peer)| {
            let hash = self.table.owner(*inc).map_or(0, |owner| owner.hash);
            (*inc, peer.version, hash)
        })
    }

    /// The metas of this node's entries that are not over.
    pub(crate) fn own_refs(&self) -> impl Iterator<Item = MetaRef> {
        let owner = self.table.owner(self.inc).into_iter();
        let entries = owner.flat_map(|owner| owner.entries.values());
        let entries = entries.filter(|entry| entry.linger != table::Linger::Over);
        entries.map(|entry| entry.own)
    }

    /// The entries of this node that are not over, and which of them linger.
    pub(crate) fn own_entries(
        &self,
    ) -> impl Iterator<Item = (String, super::key::Key, MetaRef, bool)> {
        let owner = self.table.owner(self.inc).into_iter();
        let entries = owner.flat_map(|owner| owner.entries.values());
        let entries = entries.filter(|entry| entry.linger != table::Linger::Over);
        entries.filter_map(|entry| {
            let (key, _) = entry.what.clone()?;
            let room = self.table.name(entry.room)?.topic.to_string();
            Some((room, key, entry.own, entry.linger != table::Linger::No))
        })
    }

    /// Returns every topic that has presences, or clients that have not heard of their end.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &RoomName> {
        self.table.rooms().map(|room| &room.name)
    }

    pub(crate) fn recomputed(
        &self,
    ) -> std::collections::BTreeMap<(String, super::key::Key, MetaRef), u32> {
        self.table.recomputed()
    }

    /// As [`Replica::state`], encoded anew.
    pub(crate) fn sent(&self, room: &RoomName) -> String {
        let view = self.view(room);
        view.map_or_else(|| "{}".to_owned(), View::encode_state)
    }
}
