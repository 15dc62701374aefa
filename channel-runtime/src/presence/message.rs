//! Messages between the presences of nodes, and their encoding.
//!
//! Whatever bytes come, reading them allocates no more than what they hold: a length that reaches
//! past the end is an error before it is anything else.

use bytes::Bytes;
use smol_str::SmolStr;
use thiserror::Error as ThisError;

use super::{
    key::Key,
    meta::{MetaRef, MetaText},
};

/// The version of the encoding. Another one is another language.
const FORMAT: u8 = 1;

/// The most bytes of the operations in a message that this node sends.
pub(super) const MAX_OPS: usize = 256 * 1024;

/// The most bytes of a message that this node reads.
const MAX_MESSAGE: usize = 512 * 1024;

/// Stands for a meta that does not linger.
const STAYS: u32 = u32::MAX;

/// An entry of all nodes: which node holds it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId {
    pub(crate) inc: u64,
    pub(crate) number: u64,
}

/// A presence: one name, one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoomName {
    /// The name of the presence.
    pub(crate) presence: SmolStr,
    pub(crate) topic: SmolStr,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// Operations, the first of that number.
    Delta { inc: u64, from: u64, ops: Vec<Op> },
    /// How far the sender is. A beat of a lower `seq` is older.
    Beat {
        inc: u64,
        seq: u64,
        version: u64,
        hash: u64,
    },
    /// Asks the node `inc` for what follows the version `have`; for all of it where that is
    /// `None`. `snapshot` says how many parts of which snapshot have come already.
    Pull {
        inc: u64,
        have: Option<u64>,
        snapshot: Option<(u64, u32)>,
    },
    /// A part of all entries at a version, each as [`Op::Put`].
    Snapshot {
        inc: u64,
        version: u64,
        part: u32,
        parts: u32,
        entries: Vec<Op>,
    },
    /// The node ends.
    Bye { inc: u64 },
}

/// A change of one entry of the sender, named by its number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Put(Put),
    Update {
        number: u64,
        own: MetaRef,
        /// `None` if the text is not a meta.
        meta: Option<MetaText>,
    },
    /// The channel is gone, and may come back within so many milliseconds.
    Linger {
        number: u64,
        millis: u32,
    },
    Back {
        number: u64,
    },
    Del {
        number: u64,
    },
    /// Of a later release.
    Unknown,
}

/// A new entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Put {
    pub(crate) number: u64,
    pub(crate) room: RoomName,
    pub(crate) own: MetaRef,
    /// `None` where the key or the meta is one that no node may show.
    pub(crate) what: Option<(Key, MetaText)>,
    /// The entry that it takes over from.
    pub(crate) replaces: Option<EntryId>,
    /// How many milliseconds it has left, where its channel is gone.
    pub(crate) linger: Option<u32>,
}

/// The reason why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub(crate) enum MessageError {
    #[error("the message has {0} bytes, but at most {MAX_MESSAGE} are read")]
    TooLong(usize),
    #[error("the message ends early")]
    CutOff,
    #[error("the message has the format {0}, which this release does not know")]
    Format(u8),
    #[error("the message is of a kind that does not exist: {0}")]
    Kind(u8),
    #[error("the message has text that is not UTF-8")]
    Text,
}

impl Message {
    /// The node whose entries the message is about.
    pub(crate) fn inc(&self) -> u64 {
        match self {
            Message::Delta { inc, .. }
            | Message::Beat { inc, .. }
            | Message::Pull { inc, .. }
            | Message::Snapshot { inc, .. }
            | Message::Bye { inc } => *inc,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Message::Delta { inc, from, ops } => {
                let ops: Vec<_> = ops.iter().map(Op::encode).collect();
                delta(*inc, *from, ops.iter().map(AsRef::as_ref))
            }
            Message::Snapshot {
                inc,
                version,
                part,
                parts,
                entries,
            } => {
                let mut bytes = snapshot_head(*inc, *version, *part, *parts);
                for entry in entries {
                    append_op(&mut bytes, &entry.encode());
                }
                bytes.into()
            }
            Message::Beat {
                inc,
                seq,
                version,
                hash,
            } => {
                let mut bytes = head(1, *inc);
                for number in [seq, version, hash] {
                    bytes.extend(number.to_be_bytes());
                }
                bytes.into()
            }
            Message::Pull {
                inc,
                have,
                snapshot,
            } => {
                let mut bytes = head(2, *inc);
                bytes.push(u8::from(have.is_some()));
                bytes.extend(have.unwrap_or_default().to_be_bytes());
                let (version, parts) = snapshot.unwrap_or_default();
                bytes.push(u8::from(snapshot.is_some()));
                bytes.extend(version.to_be_bytes());
                bytes.extend(parts.to_be_bytes());
                bytes.into()
            }
            Message::Bye { inc } => head(4, *inc).into(),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(MessageError::TooLong(bytes.len()));
        }
        let mut reader = Reader(bytes);
        let format = reader.u8()?;
        if format != FORMAT {
            return Err(MessageError::Format(format));
        }
        let kind = reader.u8()?;
        let inc = reader.u64()?;
        Ok(match kind {
            0 => Message::Delta {
                inc,
                from: reader.u64()?,
                ops: reader.ops()?,
            },
            1 => Message::Beat {
                inc,
                seq: reader.u64()?,
                version: reader.u64()?,
                hash: reader.u64()?,
            },
            2 => {
                let (asked, have) = (reader.u8()?, reader.u64()?);
                let (began, version, parts) = (reader.u8()?, reader.u64()?, reader.u32()?);
                Message::Pull {
                    inc,
                    have: (asked != 0).then_some(have),
                    snapshot: (began != 0).then_some((version, parts)),
                }
            }
            3 => Message::Snapshot {
                inc,
                version: reader.u64()?,
                part: reader.u32()?,
                parts: reader.u32()?,
                entries: reader.ops()?,
            },
            4 => Message::Bye { inc },
            other => return Err(MessageError::Kind(other)),
        })
    }
}

fn head(kind: u8, inc: u64) -> Vec<u8> {
    let mut bytes = vec![FORMAT, kind];
    bytes.extend(inc.to_be_bytes());
    bytes
}

/// Encodes a delta of operations that are encoded already.
pub(super) fn delta<'a>(inc: u64, from: u64, ops: impl Iterator<Item = &'a [u8]>) -> Bytes {
    let mut bytes = head(0, inc);
    bytes.extend(from.to_be_bytes());
    ops.for_each(|op| append_op(&mut bytes, op));
    bytes.into()
}

/// The bytes of a snapshot's part before its entries.
pub(super) fn snapshot_head(inc: u64, version: u64, part: u32, parts: u32) -> Vec<u8> {
    let mut bytes = head(3, inc);
    bytes.extend(version.to_be_bytes());
    bytes.extend(part.to_be_bytes());
    bytes.extend(parts.to_be_bytes());
    bytes
}

/// Appends an operation with its length.
pub(super) fn append_op(bytes: &mut Vec<u8>, op: &[u8]) {
    // An operation's parts have lengths of two bytes at most, so its own fits four.
    bytes.extend((op.len() as u32).to_be_bytes());
    bytes.extend(op);
}

impl Op {
    pub(super) fn encode(&self) -> Box<[u8]> {
        let mut bytes = Vec::new();
        match self {
            Op::Put(put) => {
                bytes.push(0);
                bytes.extend(put.number.to_be_bytes());
                append_text(&mut bytes, &put.room.presence);
                append_text(&mut bytes, &put.room.topic);
                append_ref(&mut bytes, put.own);
                let (key, meta) = match &put.what {
                    Some((key, meta)) => (key.as_str(), meta.as_str()),
                    // No meta is empty, so this one is refused again.
                    None => ("", ""),
                };
                append_text(&mut bytes, key);
                append_text(&mut bytes, meta);
                bytes.extend(put.linger.unwrap_or(STAYS).to_be_bytes());
                if let Some(replaced) = put.replaces {
                    bytes.extend(replaced.inc.to_be_bytes());
                    bytes.extend(replaced.number.to_be_bytes());
                }
            }
            Op::Update { number, own, meta } => {
                bytes.push(1);
                bytes.extend(number.to_be_bytes());
                append_ref(&mut bytes, *own);
                append_text(&mut bytes, meta.as_ref().map_or("", MetaText::as_str));
            }
            Op::Linger { number, millis } => {
                bytes.push(2);
                bytes.extend(number.to_be_bytes());
                bytes.extend(millis.to_be_bytes());
            }
            Op::Back { number } => {
                bytes.push(3);
                bytes.extend(number.to_be_bytes());
            }
            Op::Del { number } => {
                bytes.push(4);
                bytes.extend(number.to_be_bytes());
            }
            Op::Unknown => bytes.push(u8::MAX),
        }
        bytes.into()
    }

    fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader(bytes);
        Ok(match reader.u8()? {
            0 => Op::Put(reader.put()?),
            1 => Op::Update {
                number: reader.u64()?,
                own: reader.meta_ref()?,
                meta: MetaText::new(reader.text()?).ok(),
            },
            2 => Op::Linger {
                number: reader.u64()?,
                millis: reader.u32()?,
            },
            3 => Op::Back {
                number: reader.u64()?,
            },
            4 => Op::Del {
                number: reader.u64()?,
            },
            _ => Op::Unknown,
        })
    }
}

/// Text of at most 65,535 bytes: topics, keys and metas are limited to less before they come here.
fn append_text(bytes: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend(len.to_be_bytes());
    bytes.extend(&text.as_bytes()[..usize::from(len)]);
}

fn append_ref(bytes: &mut Vec<u8>, own: MetaRef) {
    bytes.extend(own.inc.to_be_bytes());
    bytes.extend(own.number.to_be_bytes());
}

/// The unread rest of a message.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let (first, rest) = self.0.split_first_chunk().ok_or(MessageError::CutOff)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8, MessageError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, MessageError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, MessageError> {
        self.array().map(u64::from_be_bytes)
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], MessageError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(MessageError::CutOff)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str, MessageError> {
        let len = self.array().map(u16::from_be_bytes)?;
        let bytes = self.bytes(len.into())?;
        std::str::from_utf8(bytes).map_err(|_| MessageError::Text)
    }

    fn meta_ref(&mut self) -> Result<MetaRef, MessageError> {
        Ok(MetaRef {
            inc: self.u64()?,
            number: self.u32()?,
        })
    }

    fn put(&mut self) -> Result<Put, MessageError> {
        let number = self.u64()?;
        let room = RoomName {
            presence: self.text()?.into(),
            topic: self.text()?.into(),
        };
        let own = self.meta_ref()?;
        let (key, meta) = (Key::new(self.text()?), MetaText::new(self.text()?));
        let linger = Some(self.u32()?).filter(|millis| *millis != STAYS);
        let replaces = match self.0.is_empty() {
            true => None,
            false => Some(EntryId {
                inc: self.u64()?,
                number: self.u64()?,
            }),
        };
        Ok(Put {
            number,
            room,
            own,
            what: key.ok().zip(meta.ok()),
            replaces,
            linger,
        })
    }

    fn ops(&mut self) -> Result<Vec<Op>, MessageError> {
        let mut ops = Vec::new();
        while !self.0.is_empty() {
            let len = self.u32()?;
            // A length that no platform can hold is past the end as well.
            let bytes = self.bytes(usize::try_from(len).unwrap_or(usize::MAX))?;
            ops.push(Op::decode(bytes)?);
        }
        Ok(ops)
    }
}

#[cfg(test)]
mod tests;
