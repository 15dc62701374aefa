//! A shape's log in memory: the chunks of its snapshot, then its changes.

use crate::offset::Offset;
use bytes::{Bytes, BytesMut};

/// The result of reading behind an offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Messages with commas between them, and the offset of the last. `more` when a chunk ends here.
    Messages {
        body: Bytes,
        end: Offset,
        more: bool,
    },
    /// Nothing: the offset is the end.
    Nothing { end: Offset },
    /// The log has not reached the offset.
    Beyond,
}

#[derive(Debug, Default)]
pub(crate) struct ShapeLog {
    snapshot: Vec<Bytes>,
    entries: Vec<Entry>,
    /// Bytes that the last chunk of the entries has, and which chunk it is.
    chunk_bytes: usize,
    chunk: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    offset: Offset,
    chunk: u64,
    message: Bytes,
}

/// Joins a snapshot's messages to chunks.
#[derive(Debug, Default)]
pub(crate) struct SnapshotWriter {
    chunks: Vec<Bytes>,
    open: BytesMut,
    bytes: usize,
}

impl SnapshotWriter {
    /// A message; the chunk ends when it has `most` bytes, this one included.
    pub(crate) fn push(&mut self, message: &str, most: usize) {
        if !self.open.is_empty() {
            self.open.extend_from_slice(b",");
        }
        self.open.extend_from_slice(message.as_bytes());
        self.bytes += message.len() + 1;
        if self.open.len() >= most {
            self.chunks.push(self.open.split().freeze());
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn finish(mut self) -> ShapeLog {
        if !self.open.is_empty() || self.chunks.is_empty() {
            self.chunks.push(self.open.freeze());
        }
        ShapeLog {
            snapshot: self.chunks,
            bytes: self.bytes,
            ..ShapeLog::default()
        }
    }
}

impl ShapeLog {
    pub(crate) fn push(&mut self, offset: Offset, message: String, most: usize) {
        let message = Bytes::from(message);
        self.bytes += message.len() + size_of::<Entry>();
        self.chunk_bytes += message.len();
        self.entries.push(Entry {
            offset,
            chunk: self.chunk,
            message,
        });
        if self.chunk_bytes >= most {
            self.chunk_bytes = 0;
            self.chunk += 1;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn end(&self) -> Offset {
        self.entries
            .last()
            .map_or(Offset::SNAPSHOT_END, |entry| entry.offset)
    }

    /// The first chunk of the snapshot.
    pub(crate) fn first(&self) -> (Bytes, Offset) {
        let body = self.snapshot.first().cloned().unwrap_or_default();
        (body, Offset { tx: 0, op: 0 })
    }

    /// Reads at most a chunk of the messages behind the offset.
    pub(crate) fn read(&self, after: Offset) -> Read {
        if after.tx == 0 && after.op != u64::MAX {
            let next = after.op.saturating_add(1);
            if let Some(body) = usize::try_from(next)
                .ok()
                .and_then(|next| self.snapshot.get(next))
            {
                let end = Offset { tx: 0, op: next };
                return Read::Messages {
                    body: body.clone(),
                    end,
                    more: true,
                };
            }
        }
        let end = self.end();
        if after > end {
            return Read::Beyond;
        }
        let from = self.entries.partition_point(|entry| entry.offset <= after);
        let Some(first) = self.entries.get(from) else {
            return Read::Nothing { end };
        };
        let to = from + self.entries[from..].partition_point(|entry| entry.chunk == first.chunk);
        let entries = &self.entries[from..to];
        let end = entries[entries.len() - 1].offset;
        let more = first.chunk < self.chunk;
        if let [only] = entries {
            return Read::Messages {
                body: only.message.clone(),
                end,
                more,
            };
        }
        let length = entries.iter().map(|entry| entry.message.len() + 1).sum();
        let mut body = BytesMut::with_capacity(length);
        for (i, entry) in entries.iter().enumerate() {
            if i > 0 {
                body.extend_from_slice(b",");
            }
            body.extend_from_slice(&entry.message);
        }
        Read::Messages {
            body: body.freeze(),
            end,
            more,
        }
    }

    /// Each message behind the offset, at most a chunk of them.
    pub(crate) fn messages(&self, after: Offset) -> Vec<(Offset, Bytes)> {
        let from = self.entries.partition_point(|entry| entry.offset <= after);
        let Some(first) = self.entries.get(from) else {
            return Vec::new();
        };
        let chunk = self.entries[from..]
            .iter()
            .take_while(|entry| entry.chunk == first.chunk);
        chunk
            .map(|entry| (entry.offset, entry.message.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> ShapeLog {
        let mut snapshot = SnapshotWriter::default();
        for message in ["aaaa", "bbbb", "cccc"] {
            snapshot.push(message, 9);
        }
        let mut log = snapshot.finish();
        for (op, message) in [(0, "d"), (2, "eeeeeeeee"), (4, "f")] {
            log.push(Offset { tx: 7, op }, message.to_owned(), 9);
        }
        log
    }

    fn messages(body: &'static str, end: &str, more: bool) -> Read {
        let end = Offset::parse(end).expect("an offset");
        Read::Messages {
            body: Bytes::from_static(body.as_bytes()),
            end,
            more,
        }
    }

    #[test]
    fn a_chunk_ends_with_the_message_that_fills_it() {
        let log = log();
        assert_eq!(&log.first().0[..], b"aaaa,bbbb");
        let read = |after: &str| log.read(Offset::parse(after).expect("an offset"));
        assert_eq!(read("0_0"), messages("cccc", "0_1", true));
        assert_eq!(read("0_1"), messages("d,eeeeeeeee", "7_2", true));
        assert_eq!(read("0_inf"), read("0_1"));
        assert_eq!(read("7_1"), messages("eeeeeeeee", "7_2", true));
        assert_eq!(read("7_2"), messages("f", "7_4", false));
        assert_eq!(
            read("7_4"),
            Read::Nothing {
                end: Offset { tx: 7, op: 4 }
            }
        );
        assert_eq!(read("7_5"), Read::Beyond);
        assert_eq!(read("8_0"), Read::Beyond);
    }
}
