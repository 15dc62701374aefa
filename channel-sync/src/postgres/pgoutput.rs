//! The messages of Postgres' plugin `pgoutput`, version 1, but for those that begin and end a
//! transaction.

use bytes::{Buf, Bytes};
use smol_str::SmolStr;

/// A message about a table within a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// The columns of what follows. It comes before the first change of a table, and again when the
    /// table was altered.
    Relation(Columns),
    Insert {
        oid: u32,
        new: Tuple,
    },
    Update {
        oid: u32,
        /// Of a table whose replica identity is not `FULL`, it is missing or has the key only.
        old: Old,
        new: Tuple,
    },
    Delete {
        oid: u32,
        old: Old,
    },
    Truncate {
        oids: Vec<u32>,
    },
    /// A type, an origin, or what later versions have.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) oid: u32,
    pub(super) schema: SmolStr,
    pub(super) name: SmolStr,
    /// True if changes have the whole old row.
    pub(super) full: bool,
    pub(super) columns: Vec<StreamColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamColumn {
    pub(super) name: SmolStr,
    pub(super) type_oid: u32,
    pub(super) typmod: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Old {
    None,
    Key,
    Row(Tuple),
}

pub(super) type Tuple = Vec<Value>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    /// A large value that the update did not touch: it is that of the old row.
    Unchanged,
    Text(SmolStr),
}

/// The message is not one of `pgoutput`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of the replication stream cannot be read")]
pub(super) struct Malformed;

type Read<T> = Result<T, Malformed>;

pub(super) fn decode(mut from: Bytes) -> Read<Message> {
    let from = &mut from;
    Ok(match u8(from)? {
        b'R' => Message::Relation(columns(from)?),
        b'I' => {
            let oid = u32(from)?;
            match u8(from)? {
                b'N' => {}
                _ => return Err(Malformed),
            }
            let new = tuple(from)?;
            Message::Insert { oid, new }
        }
        b'U' => {
            let oid = u32(from)?;
            let mut old = Old::None;
            let mut kind = u8(from)?;
            if kind != b'N' {
                old = old_row(kind, from)?;
                kind = u8(from)?;
            }
            if kind != b'N' {
                return Err(Malformed);
            }
            let new = tuple(from)?;
            Message::Update { oid, old, new }
        }
        b'D' => {
            let oid = u32(from)?;
            let kind = u8(from)?;
            let old = old_row(kind, from)?;
            Message::Delete { oid, old }
        }
        b'T' => {
            let count = u32(from)?;
            u8(from)?;
            let oids: Read<Vec<u32>> = (0..count).map(|_| u32(from)).collect();
            Message::Truncate { oids: oids? }
        }
        _ => Message::Other,
    })
}

fn columns(from: &mut Bytes) -> Read<Columns> {
    let oid = u32(from)?;
    let (schema, name) = (text(from)?, text(from)?);
    let full = u8(from)? == b'f';
    let count = from.try_get_u16().map_err(|_| Malformed)?;
    let mut columns = Vec::new();
    for _ in 0..count {
        // The flag of key columns is not needed: with a full identity, every column has it.
        u8(from)?;
        let name = text(from)?;
        let type_oid = u32(from)?;
        let typmod = from.try_get_i32().map_err(|_| Malformed)?;
        columns.push(StreamColumn {
            name,
            type_oid,
            typmod,
        });
    }
    // The catalogue is the schema when none is said.
    let schema = if schema.is_empty() {
        "pg_catalog".into()
    } else {
        schema
    };
    Ok(Columns {
        oid,
        schema,
        name,
        full,
        columns,
    })
}

fn old_row(kind: u8, from: &mut Bytes) -> Read<Old> {
    let row = tuple(from)?;
    match kind {
        b'K' => Ok(Old::Key),
        b'O' => Ok(Old::Row(row)),
        _ => Err(Malformed),
    }
}

fn tuple(from: &mut Bytes) -> Read<Tuple> {
    let count = from.try_get_u16().map_err(|_| Malformed)?;
    let mut values = Vec::with_capacity(count.into());
    for _ in 0..count {
        values.push(match u8(from)? {
            b'n' => Value::Null,
            b'u' => Value::Unchanged,
            b't' => {
                let length = usize::try_from(u32(from)?).map_err(|_| Malformed)?;
                if from.len() < length {
                    return Err(Malformed);
                }
                let bytes = from.split_to(length);
                Value::Text(std::str::from_utf8(&bytes).map_err(|_| Malformed)?.into())
            }
            _ => return Err(Malformed),
        });
    }
    Ok(values)
}

fn u8(from: &mut Bytes) -> Read<u8> {
    from.try_get_u8().map_err(|_| Malformed)
}

fn u32(from: &mut Bytes) -> Read<u32> {
    from.try_get_u32().map_err(|_| Malformed)
}

/// A text that ends with a zero.
fn text(from: &mut Bytes) -> Read<SmolStr> {
    let end = from.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
    let bytes = from.split_to(end);
    from.advance(1);
    Ok(std::str::from_utf8(&bytes).map_err(|_| Malformed)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(parts: &[&[u8]]) -> Bytes {
        Bytes::from(parts.concat())
    }

    #[test]
    fn a_relation_has_its_columns_and_whether_rows_come_whole() {
        let bytes = message(&[
            b"R\0\0\x40\x01h6\0t\0f\0\x02",
            b"\x01id\0\0\0\0\x17\xff\xff\xff\xff",
            b"\x01v\0\0\0\x04\x13\0\0\0\x0e",
        ]);
        let Ok(Message::Relation(columns)) = decode(bytes) else {
            panic!("a relation");
        };
        assert_eq!(
            (columns.oid, &*columns.schema, &*columns.name),
            (0x4001, "h6", "t")
        );
        assert!(columns.full);
        let of: Vec<_> = columns
            .columns
            .iter()
            .map(|c| (&*c.name, c.type_oid, c.typmod))
            .collect();
        assert_eq!(of, [("id", 23, -1), ("v", 1043, 14)]);
    }

    #[test]
    fn an_update_has_both_rows_and_says_what_it_left_untouched() {
        let row = b"\0\x03t\0\0\0\x011nt\0\0\0\x01a";
        let new = b"\0\x03t\0\0\0\x012nu";
        let bytes = message(&[b"U\0\0\0\x07O", row, b"N", new]);
        let text = |t: &str| Value::Text(t.into());
        let wanted = Message::Update {
            oid: 7,
            old: Old::Row(vec![text("1"), Value::Null, text("a")]),
            new: vec![text("2"), Value::Null, Value::Unchanged],
        };
        assert_eq!(decode(bytes), Ok(wanted));
        let without = message(&[b"U\0\0\0\x07N", new]);
        assert!(matches!(
            decode(without),
            Ok(Message::Update { old: Old::None, .. })
        ));
        let key = message(&[b"D\0\0\0\x07K", row]);
        assert!(matches!(
            decode(key),
            Ok(Message::Delete { old: Old::Key, .. })
        ));
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_refused_and_nothing_panics() {
        let whole: [&[u8]; 4] = [
            b"R\0\0\x40\x01h6\0t\0f\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff",
            b"I\0\0\0\x07N\0\x01t\0\0\0\x011",
            b"D\0\0\0\x07O\0\x01t\0\0\0\x011",
            b"T\0\0\0\x01\0\0\0\0\x07",
        ];
        for message in whole {
            assert!(decode(Bytes::copy_from_slice(message)).is_ok());
            for end in 0..message.len() {
                assert_eq!(
                    decode(Bytes::copy_from_slice(&message[..end])),
                    Err(Malformed)
                );
            }
        }
        assert_eq!(decode(Bytes::from_static(b"Y\0")), Ok(Message::Other));
    }
}
