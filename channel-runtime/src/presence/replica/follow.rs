//! The entries of other nodes: each follows what their owner says of them, and no other.

use std::{collections::HashMap, time::Duration};

use super::{
    Address, MAX_ENTRIES, MAX_PEERS, Output, Replica,
    peer::{PARTS_AT_ONCE, Peer, Presence},
    table::Linger,
};
use crate::presence::message::{EntryId, Message, MessageError, Op, Put};

impl<A: Address> Replica<A> {
    /// Takes a message of another node.
    pub(crate) fn receive(&mut self, from: &A, bytes: &[u8], now: Duration) {
        self.clock.advance(now);
        match Message::decode(bytes) {
            Ok(Message::Pull {
                inc,
                have,
                snapshot,
            }) if inc == self.inc => self.answer(from, have, snapshot),
            Ok(Message::Pull { .. }) => {}
            Ok(message) => self.follow(from, message),
            Err(MessageError::Format(_)) => self.counts.unknown_ops += 1,
            Err(_) => self.counts.garbage += 1,
        }
        self.yield_superseded();
    }

    fn follow(&mut self, from: &A, message: Message) {
        let inc = message.inc();
        if inc == self.inc || !self.meet(inc, from) {
            return;
        }
        match message {
            Message::Delta { from, ops, .. } => self.apply(inc, from, ops),
            Message::Beat {
                seq, version, hash, ..
            } => self.hear(inc, seq, version, hash),
            Message::Snapshot {
                version,
                part,
                parts,
                entries,
                ..
            } => self.assemble(inc, version, (part, parts), entries),
            Message::Bye { .. } => {
                if let Some(peer) = self.peers.get_mut(&inc) {
                    peer.left = true;
                }
            }
            Message::Pull { .. } => {}
        }
    }

    /// Returns whether a message about the node `inc` may come from there.
    fn meet(&mut self, inc: u64, from: &A) -> bool {
        if let Some(peer) = self.peers.get(&inc) {
            let genuine = peer.address == *from;
            self.counts.garbage += u64::from(!genuine);
            return genuine;
        }
        if self.peers.len() >= MAX_PEERS {
            self.counts.garbage += 1;
            return false;
        }
        let ends = self.clock.lived + self.timing.grace;
        for peer in self.peers.values_mut() {
            if peer.address.name() == from.name() {
                peer.superseded.get_or_insert(ends);
            }
        }
        self.table.add_owner(inc);
        self.peers
            .insert(inc, Peer::new(from.clone(), self.clock.awake));
        true
    }

    /// Applies operations, and those that waited for them.
    fn apply(&mut self, inc: u64, from: u64, ops: Vec<Op>) {
        for (at, op) in (0..).zip(ops) {
            let Some(peer) = self.peers.get_mut(&inc) else {
                return;
            };
            let Some(number) = from.checked_add(at) else {
                return;
            };
            let mut next = peer.take_op(number, op);
            while let Some(op) = next {
                self.apply_op(inc, op);
                next = self.peers.get_mut(&inc).and_then(Peer::next_op);
            }
        }
        self.check_progress(inc);
    }

    fn apply_op(&mut self, inc: u64, op: Op) {
        let now = self.clock.lived;
        let id = |number| EntryId { inc, number };
        match op {
            Op::Put(put) => {
                let len = self.table.owner(inc).map_or(0, |owner| owner.entries.len());
                match len < MAX_ENTRIES {
                    true => self.table.put(inc, put, now),
                    false => self.counts.garbage += 1,
                }
            }
            Op::Update { number, own, meta } => self.table.update(id(number), own, meta),
            Op::Linger { number, millis } => self.table.linger(id(number), now, millis),
            Op::Back { number } => self.table.back(id(number)),
            Op::Del { number } => self.table.del(id(number)),
            Op::Unknown => self.counts.unknown_ops += 1,
        }
    }

    fn hear(&mut self, inc: u64, seq: u64, version: u64, hash: u64) {
        let here = self.table.owner(inc).map_or(0, |owner| owner.hash);
        let Some(peer) = self.peers.get_mut(&inc) else {
            return;
        };
        if !peer.take_beat(seq) {
            return;
        }
        peer.heard = self.clock.awake;
        peer.superseded = None;
        if let Presence::Down { .. } = peer.presence {
            peer.presence = Presence::Returning;
        }
        peer.latest = peer.latest.max(version);
        if peer.version == version && here != hash {
            if peer.pull.is_none_or(|pull| !pull.whole) {
                self.counts.faults += 1;
            }
            peer.fall_behind(self.clock.lived, true, &self.timing);
        }
        self.check_progress(inc);
    }

    /// Notes if something of a node is missing, and shows it once nothing is.
    fn check_progress(&mut self, inc: u64) {
        let Some(peer) = self.peers.get_mut(&inc) else {
            return;
        };
        if !peer.is_caught_up() {
            peer.fall_behind(self.clock.lived, false, &self.timing);
            self.pull(inc);
            return;
        }
        peer.pull = None;
        if peer.presence == Presence::Returning {
            peer.presence = Presence::Up;
            self.table.set_visible(inc, true);
        }
    }

    /// Asks a node for what is missing, when it is time to.
    fn pull(&mut self, inc: u64) {
        let now = self.clock.lived;
        let Some(peer) = self.peers.get_mut(&inc) else {
            return;
        };
        let snapshot = peer.progress();
        let version = peer.version;
        let Some(pull) = peer.pull.as_mut().filter(|pull| pull.at <= now) else {
            return;
        };
        pull.asked(now, &self.timing);
        let message = Message::Pull {
            inc,
            have: (!pull.whole).then_some(version),
            snapshot,
        };
        let output = Output::To(peer.address.clone(), message.encode());
        self.counts.pulls += 1;
        self.outputs.push(output);
    }

    fn assemble(&mut self, inc: u64, version: u64, part: (u32, u32), entries: Vec<Op>) {
        let puts = entries.into_iter().filter_map(|op| match op {
            Op::Put(put) => Some(put),
            _ => None,
        });
        let Some(peer) = self.peers.get_mut(&inc) else {
            return;
        };
        match peer.take_part(version, part, puts.collect(), MAX_ENTRIES) {
            Some(entries) => {
                self.adopt(inc, entries);
                while let Some(op) = self.peers.get_mut(&inc).and_then(Peer::next_op) {
                    self.apply_op(inc, op);
                }
                self.check_progress(inc);
            }
            None => {
                let here = peer.progress().map_or(0, |(_, parts)| parts);
                if here > 0
                    && here % PARTS_AT_ONCE == 0
                    && let Some(pull) = &mut peer.pull
                {
                    pull.at = self.clock.lived;
                    self.pull(inc);
                }
            }
        }
    }

    /// Replaces the entries of a node. An unchanged one causes nothing.
    fn adopt(&mut self, inc: u64, entries: Vec<Put>) {
        let now = self.clock.lived;
        let new: HashMap<u64, Put> = entries.into_iter().map(|put| (put.number, put)).collect();
        let old = self.table.owner(inc).into_iter();
        let old: Vec<u64> = old
            .flat_map(|owner| owner.entries.keys().copied())
            .collect();
        for (number, put) in &new {
            let id = EntryId {
                inc,
                number: *number,
            };
            let (known, lingers) = match self.table.entry(id) {
                Some(entry) => (Some(entry.own), entry.linger != Linger::No),
                None => (None, false),
            };
            match known {
                None => self.table.put(inc, put.clone(), now),
                Some(own) => {
                    if own != put.own {
                        let meta = put.what.as_ref().map(|(_, meta)| meta.clone());
                        self.table.update(id, put.own, meta);
                    }
                    match put.linger {
                        Some(millis) if !lingers => self.table.linger(id, now, millis),
                        None if lingers => self.table.back(id),
                        _ => {}
                    }
                }
            }
        }
        for number in old {
            if !new.contains_key(&number) {
                self.table.del(EntryId { inc, number });
            }
        }
    }

    /// Finds out which nodes are gone, and asks the others for what is missing.
    pub(super) fn judge_peers(&mut self) {
        let now = self.clock.lived;
        let isolated = self.clock.cut >= self.timing.isolation;
        let (mut hidden, mut forgotten, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        for (inc, peer) in &mut self.peers {
            let silence = self.clock.awake.saturating_sub(peer.heard);
            match peer.presence {
                Presence::Up | Presence::Returning
                    if isolated || silence >= self.timing.down_after =>
                {
                    peer.presence = Presence::Down { since: now };
                    hidden.push(*inc);
                }
                Presence::Down { since } if now - since >= self.timing.forget_after => {
                    forgotten.push(*inc);
                }
                Presence::Down { .. } if peer.left => forgotten.push(*inc),
                _ if peer.superseded.is_some_and(|ends| ends <= now) => forgotten.push(*inc),
                Presence::Up | Presence::Returning if peer.pull.is_some() => behind.push(*inc),
                _ => {}
            }
        }
        hidden
            .into_iter()
            .for_each(|inc| self.table.set_visible(inc, false));
        for inc in forgotten {
            self.peers.remove(&inc);
            self.table.del_owner(inc);
        }
        behind.into_iter().for_each(|inc| self.pull(inc));
    }
}
