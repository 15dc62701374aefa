//! Publishes this node's entries to the other nodes.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Address, CachedSnapshot, Output, Replica,
    peer::PARTS_AT_ONCE,
    table::{Entry, Linger},
};
use crate::presence::message::{MAX_OPS, Message, Op, Put, RoomName, append_op, snapshot_head};

impl<A: Address> Replica<A> {
    /// Sends a node what it misses.
    pub(super) fn answer(&mut self, to: &A, have: Option<u64>, snapshot: Option<(u64, u32)>) {
        let deltas = have.and_then(|version| self.log.after(self.inc, version));
        let messages = match deltas {
            Some(deltas) if deltas.is_empty() => vec![self.beat()],
            Some(deltas) => deltas,
            None => self.snapshot_parts(snapshot),
        };
        let outputs = messages.into_iter();
        self.outputs
            .extend(outputs.map(|message| Output::To(to.clone(), message)));
    }

    /// Returns the next parts of the snapshot that was begun, or the first ones of a new one.
    fn snapshot_parts(&mut self, begun: Option<(u64, u32)>) -> Vec<Bytes> {
        let now = self.clock.lived;
        let known = self.snapshot.as_ref().map(|known| known.version);
        let first = match begun {
            Some((version, parts)) if known == Some(version) => parts,
            _ => {
                // While others are in the middle of one, it is new enough: deltas follow.
                let old = |known: &CachedSnapshot| {
                    known.version != self.log.version()
                        && now.saturating_sub(known.used) >= self.timing.beat
                };
                if self.snapshot.as_ref().is_none_or(old) {
                    self.snapshot = Some(self.make_snapshot());
                }
                0
            }
        };
        let Some(snapshot) = &mut self.snapshot else {
            return Vec::new();
        };
        snapshot.used = now;
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let parts = snapshot.parts.iter().skip(first);
        parts.take(PARTS_AT_ONCE as usize).cloned().collect()
    }

    fn make_snapshot(&self) -> CachedSnapshot {
        let version = self.log.version();
        let (mut parts, mut bytes) = (Vec::new(), Vec::new());
        let owner = self.table.owner(self.inc);
        for (number, entry) in owner.into_iter().flat_map(|owner| &owner.entries) {
            let op = self.entry_as_put(*number, entry).encode();
            if bytes.len() + op.len() > MAX_OPS && !bytes.is_empty() {
                parts.push(std::mem::take(&mut bytes));
            }
            append_op(&mut bytes, &op);
        }
        parts.push(bytes);
        // A node has at most 2^20 entries of a few KiB.
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let with_head = (0..).zip(parts).map(|(part, bytes)| {
            let mut message = snapshot_head(self.inc, version, part, count);
            message.extend(bytes);
            Bytes::from(message)
        });
        CachedSnapshot {
            version,
            used: self.clock.lived,
            parts: with_head.collect(),
        }
    }

    fn entry_as_put(&self, number: u64, entry: &Entry) -> Op {
        let left = |deadline: Duration| deadline.saturating_sub(self.clock.lived).as_millis();
        let linger = match entry.linger {
            Linger::No => None,
            Linger::Until(deadline) => Some(u32::try_from(left(deadline)).unwrap_or(u32::MAX - 1)),
            Linger::Over => Some(0),
        };
        let unnamed = || RoomName {
            presence: "".into(),
            topic: "".into(),
        };
        Op::Put(Put {
            number,
            // An entry's room is there as long as the entry.
            room: self.table.name(entry.room).cloned().unwrap_or_else(unnamed),
            own: entry.own,
            what: entry.what.clone(),
            replaces: entry.replaces,
            linger,
        })
    }

    pub(super) fn beat(&mut self) -> Bytes {
        self.beats += 1;
        let hash = self.table.owner(self.inc).map_or(0, |owner| owner.hash);
        let beat = Message::Beat {
            inc: self.inc,
            seq: self.beats,
            version: self.log.version(),
            hash,
        };
        beat.encode()
    }

    /// Tells the others of all changes.
    pub(super) fn flush(&mut self) {
        let deltas = self.log.after(self.inc, self.told).unwrap_or_default();
        self.told = self.log.version();
        self.untold = None;
        self.outputs.extend(deltas.into_iter().map(Output::All));
    }

    /// Tells the others that this node ends. Its channels have been released.
    pub(crate) fn leave(&mut self) {
        self.flush();
        let bye = Message::Bye { inc: self.inc };
        self.outputs.push(Output::All(bye.encode()));
    }
}
