//! The log of a node's changes to its own entries, for the other nodes.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::presence::message::{MAX_OPS, Op, delta};

/// The most operations that are kept, and the most bytes of them.
const MAX_KEPT: usize = 10_000;
const MAX_BYTES: usize = 1024 * 1024;

/// The last operations of a node. The version of its entries is the number of the last one.
#[derive(Debug, Default)]
pub(super) struct OpLog {
    version: u64,
    ops: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl OpLog {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn append(&mut self, op: &Op) {
        let op = op.encode();
        self.version += 1;
        self.bytes += op.len();
        self.ops.push_back(op);
        while self.ops.len() > MAX_KEPT || self.bytes > MAX_BYTES {
            let Some(oldest) = self.ops.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
        }
    }

    /// Returns the operations after a version as messages; `None` where they are no longer known.
    pub(super) fn after(&self, inc: u64, version: u64) -> Option<Vec<Bytes>> {
        let missing = self.version.checked_sub(version)?;
        let missing = usize::try_from(missing).ok()?;
        let first = self.ops.len().checked_sub(missing)?;
        let mut messages = Vec::new();
        let (mut ops, mut bytes, mut from) = (Vec::new(), 0, version + 1);
        for op in self.ops.range(first..) {
            if bytes + op.len() > MAX_OPS && !ops.is_empty() {
                messages.push(delta(inc, from, ops.iter().copied()));
                from += ops.len() as u64;
                ops.clear();
                bytes = 0;
            }
            bytes += op.len() + size_of::<u32>();
            ops.push(&**op);
        }
        if !ops.is_empty() {
            messages.push(delta(inc, from, ops.into_iter()));
        }
        Some(messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::message::Message;

    #[test]
    fn what_follows_a_version_is_told_as_long_as_it_is_known() {
        let mut log = OpLog::default();
        for number in 1..=MAX_KEPT as u64 + 5 {
            log.append(&Op::Del { number });
        }
        assert_eq!(log.after(1, 4), None, "the first five are gone");
        assert_eq!(log.after(1, log.version() + 1), None, "of the future");
        assert_eq!(log.after(1, log.version()), Some(Vec::new()));
        let told = log.after(1, log.version() - 2).unwrap();
        let Ok(Message::Delta { from, ops, .. }) = Message::decode(&told[0]) else {
            panic!("not a delta");
        };
        assert_eq!((from, ops.len()), (log.version() - 1, 2));
        let all = log.after(1, 5).unwrap();
        assert!(all.iter().all(|message| message.len() < MAX_OPS + 64));
    }
}
