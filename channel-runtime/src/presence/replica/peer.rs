//! The state of another node: when it was last heard, and how far behind its entries are here.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::Timing;
use crate::presence::message::{Op, Put};

/// The most operations that wait for those before them.
const MAX_EARLY: usize = 1_000;

/// Parts of a snapshot that are asked for at once.
pub(super) const PARTS_AT_ONCE: u32 = 8;

#[derive(Debug)]
pub(super) struct Peer<A> {
    pub(super) address: A,
    /// When it was heard last, in time that this node was awake and connected.
    pub(super) heard: Duration,
    /// The number of its newest beat.
    seq: u64,
    /// The version of its entries here.
    pub(super) version: u64,
    /// The highest version that it told of.
    pub(super) latest: u64,
    pub(super) presence: Presence,
    /// Set while something is missing.
    pub(super) pull: Option<Pull>,
    early: BTreeMap<u64, Op>,
    assembly: Option<Assembly>,
    /// When it is forgotten unless it is heard: another process runs under its name.
    pub(super) superseded: Option<Duration>,
    /// It said goodbye.
    pub(super) left: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Up,
    /// Heard again, and hidden until its entries are up to date.
    Returning,
    Down {
        since: Duration,
    },
}

/// A request for missing entries, and the time of its next attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pull {
    pub(super) at: Duration,
    delay: Duration,
    /// The entries here are wrong, so that no delta helps.
    pub(super) whole: bool,
}

impl Pull {
    /// Plans the next one.
    pub(super) fn asked(&mut self, now: Duration, timing: &Timing) {
        self.at = now + self.delay;
        self.delay = (self.delay * 2).min(timing.pull_max);
    }
}

/// The parts of a snapshot that have come.
#[derive(Debug)]
struct Assembly {
    version: u64,
    parts: u32,
    come: HashMap<u32, Vec<Put>>,
}

impl<A> Peer<A> {
    pub(super) fn new(address: A, heard: Duration) -> Self {
        Peer {
            address,
            heard,
            seq: 0,
            version: 0,
            latest: 0,
            presence: Presence::Up,
            pull: None,
            early: BTreeMap::new(),
            assembly: None,
            superseded: None,
            left: false,
        }
    }

    /// Takes the number of a beat; `false` for one that is older than another.
    pub(super) fn take_beat(&mut self, seq: u64) -> bool {
        let newer = seq > self.seq;
        self.seq = self.seq.max(seq);
        newer
    }

    /// Something is missing: it is asked for at `now` unless it was already.
    pub(super) fn fall_behind(&mut self, now: Duration, whole: bool, timing: &Timing) {
        let pull = self.pull.get_or_insert(Pull {
            at: now,
            delay: timing.pull_min,
            whole,
        });
        pull.whole |= whole;
    }

    /// Returns the operation if it is the next one, and keeps it if it is a later one.
    pub(super) fn take_op(&mut self, number: u64, op: Op) -> Option<Op> {
        self.latest = self.latest.max(number);
        if number <= self.version {
            return None;
        }
        if number - self.version == 1 {
            self.version = number;
            return Some(op);
        }
        self.early.insert(number, op);
        if self.early.len() > MAX_EARLY {
            self.early.pop_last();
        }
        None
    }

    /// Returns an operation that waited for the last one.
    pub(super) fn next_op(&mut self) -> Option<Op> {
        while let Some(first) = self.early.first_entry()
            && *first.key() <= self.version.saturating_add(1)
        {
            let (number, op) = first.remove_entry();
            if number.checked_sub(self.version) == Some(1) {
                self.version = number;
                return Some(op);
            }
        }
        None
    }

    /// Returns whether all is here that it told of.
    pub(super) fn is_caught_up(&self) -> bool {
        self.early.is_empty()
            && self.version >= self.latest
            && self.pull.is_none_or(|pull| !pull.whole)
    }

    /// How far the snapshot is that is on its way.
    pub(super) fn progress(&self) -> Option<(u64, u32)> {
        let assembly = self.assembly.as_ref()?;
        let here = (0..assembly.parts).find(|part| !assembly.come.contains_key(part));
        Some((assembly.version, here?))
    }

    /// Takes a part, of at most `most` entries with all others. Returns the entries once the last
    /// part is here.
    pub(super) fn take_part(
        &mut self,
        version: u64,
        (part, parts): (u32, u32),
        entries: Vec<Put>,
        most: usize,
    ) -> Option<Vec<Put>> {
        let whole = self.pull.as_ref()?.whole;
        if part >= parts || version < self.version || (version == self.version && !whole) {
            return None;
        }
        let other = |known: &Assembly| known.version != version || known.parts != parts;
        if self.assembly.as_ref().is_none_or(other) {
            let newer = |known: &Assembly| known.version > version;
            if self.assembly.as_ref().is_some_and(newer) {
                return None;
            }
            self.assembly = Some(Assembly {
                version,
                parts,
                come: HashMap::new(),
            });
        }
        let assembly = self.assembly.as_mut()?;
        assembly.come.insert(part, entries);
        let come: usize = assembly.come.values().map(Vec::len).sum();
        if come > most {
            self.assembly = None;
            return None;
        }
        if assembly.come.len() < usize::try_from(parts).unwrap_or(usize::MAX) {
            return None;
        }
        let assembly = self.assembly.take()?;
        self.version = version;
        self.latest = self.latest.max(version);
        self.pull = None;
        Some(assembly.come.into_values().flatten().collect())
    }
}
