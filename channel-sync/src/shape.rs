//! Defines shapes, and the messages of their rows and changes.

use crate::offset::Offset;
use crate::predicate::{EvalError, Predicate};
use crate::source::Relation;
use crate::table::Row;
use serde_json::Value as Json;
use std::fmt::Write;
use std::sync::Arc;

/// The columns that updates and deletes carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Replica {
    /// The key, and of an update the changed columns.
    #[default]
    Default,
    /// The whole row, and of an update the old values of the changed columns.
    Full,
}

/// How much of the table's rows a shape's log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogMode {
    /// A snapshot of all rows, then the changes.
    #[default]
    Full,
    /// The changes only. Rows are asked for by subsets.
    ChangesOnly,
}

/// A shape's definition, checked against its table.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) relation: Arc<Relation>,
    pub(crate) predicate: Option<Arc<Predicate>>,
    /// Places of the selected columns, in the table's order.
    pub(crate) selected: Vec<usize>,
    /// True if the columns were named: then others may be added to the table.
    pub(crate) named: bool,
    pub(crate) replica: Replica,
    pub(crate) log: LogMode,
}

impl Definition {
    /// The same for the same shape, however it was written.
    pub(crate) fn identity(&self) -> String {
        let table = &self.relation.table;
        let columns = if self.named {
            format!("{:?}", self.selected)
        } else {
            String::new()
        };
        let sql = self.predicate.as_ref().map_or("", |p| p.sql());
        let (id, name) = (self.relation.id, table.name());
        format!(
            "{id} {name} {columns} {:?} {:?} {sql}",
            self.replica, self.log
        )
    }

    /// Returns true if the shape continues unchanged with the table as it is now: the same table
    /// with columns added at the end, and none of them selected.
    pub(crate) fn survives(&self, now: &Relation) -> bool {
        let (old, new) = (&self.relation.table, &now.table);
        self.named
            && old.name() == new.name()
            && new.columns().starts_with(old.columns())
            && old.key_places().eq(new.key_places())
    }

    fn matches(&self, row: &Row) -> Result<bool, EvalError> {
        self.predicate
            .as_ref()
            .map_or(Ok(true), |predicate| predicate.matches(row))
    }

    fn relation_json(&self) -> String {
        let name = self.relation.table.name();
        Json::from(vec![name.schema.as_str(), name.name.as_str()]).to_string()
    }

    fn values(&self, row: &Row, wanted: impl Fn(usize) -> bool) -> String {
        let mut out = String::from("{");
        for index in self.selected.iter().copied().filter(|index| wanted(*index)) {
            if out.len() > 1 {
                out.push(',');
            }
            push_json(&mut out, self.relation.table.columns()[index].name());
            out.push(':');
            match row.get(index) {
                None => out.push_str("null"),
                Some(text) => push_json(&mut out, text),
            }
        }
        out.push('}');
        out
    }

    /// A row of the snapshot; of a subset with its mark.
    pub(crate) fn snapshot_message(&self, row: &Row, mark: Option<u32>) -> String {
        let mut out = String::from("{\"key\":");
        push_json(&mut out, &self.relation.table.row_key(row));
        let _ = write!(
            out,
            ",\"value\":{},\"headers\":{{\"operation\":\"insert\",\"relation\":{}",
            self.values(row, |_| true),
            self.relation_json()
        );
        if let Some(mark) = mark {
            let _ = write!(out, ",\"snapshot_mark\":{mark}");
        }
        out.push_str("}}");
        out
    }

    /// The messages of a change, without what is known only when the transaction is whole.
    pub(crate) fn changes(
        &self,
        old: Option<&Row>,
        new: Option<&Row>,
        op: u64,
        messages: &mut Vec<Message>,
    ) -> Result<(), EvalError> {
        let was = old.map_or(Ok(false), |row| self.matches(row))?;
        let is = new.map_or(Ok(false), |row| self.matches(row))?;
        match (old.filter(|_| was), new.filter(|_| is)) {
            (None, None) => {}
            (None, Some(new)) => messages.push(self.insert(new, op, None)),
            (Some(old), None) => messages.push(self.delete(old, op, None)),
            (Some(old), Some(new)) => {
                let table = &self.relation.table;
                let (old_key, new_key) = (table.row_key(old), table.row_key(new));
                if old_key != new_key {
                    messages.push(self.delete(old, op, Some(&new_key)));
                    messages.push(self.insert(new, op + 1, Some(&old_key)));
                    return Ok(());
                }
                let changed = |index: usize| old.get(index) != new.get(index);
                // An update that changes nothing is sent: a client that waits for its transaction's
                // id would wait for ever. An update of unselected columns is not sent.
                if old != new && !self.selected.iter().any(|index| changed(*index)) {
                    return Ok(());
                }
                let key = |index: usize| table.key_places().any(|place| place == index);
                let full = self.replica == Replica::Full;
                let value = self.values(new, |index| full || key(index) || changed(index));
                let old_value = full.then(|| self.values(old, changed));
                messages.push(Message {
                    op,
                    operation: "update",
                    key: new_key,
                    value,
                    old_value,
                    moved: None,
                });
            }
        }
        Ok(())
    }

    fn insert(&self, row: &Row, op: u64, from: Option<&str>) -> Message {
        Message {
            op,
            operation: "insert",
            key: self.relation.table.row_key(row),
            value: self.values(row, |_| true),
            old_value: None,
            moved: from.map(|key| ("key_change_from", key.to_owned())),
        }
    }

    fn delete(&self, row: &Row, op: u64, to: Option<&str>) -> Message {
        let table = &self.relation.table;
        let key = |index: usize| table.key_places().any(|place| place == index);
        let full = self.replica == Replica::Full;
        Message {
            op,
            operation: "delete",
            key: table.row_key(row),
            value: self.values(row, |index| full || key(index)),
            old_value: None,
            moved: to.map(|key| ("key_change_to", key.to_owned())),
        }
    }

    /// The message as it is sent.
    pub(crate) fn finish(
        &self,
        message: &Message,
        xid: u64,
        lsn: u64,
        last: bool,
    ) -> (Offset, String) {
        let mut out = String::from("{\"key\":");
        push_json(&mut out, &message.key);
        let _ = write!(out, ",\"value\":{}", message.value);
        if let Some(old) = &message.old_value {
            let _ = write!(out, ",\"old_value\":{old}");
        }
        // Clients know transactions by 32 bits, as Postgres' own xid has them.
        let _ = write!(
            out,
            ",\"headers\":{{\"operation\":\"{}\",\"relation\":{},\"txids\":[{}],\"lsn\":\"{lsn}\",\"op_position\":{}",
            message.operation,
            self.relation_json(),
            xid as u32,
            message.op
        );
        if let Some((name, key)) = &message.moved {
            let _ = write!(out, ",\"{name}\":");
            push_json(&mut out, key);
        }
        out.push_str(if last { ",\"last\":true}}" } else { "}}" });
        (
            Offset {
                tx: lsn,
                op: message.op,
            },
            out,
        )
    }
}

/// A message about a change of one row.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    op: u64,
    operation: &'static str,
    key: String,
    value: String,
    old_value: Option<String>,
    moved: Option<(&'static str, String)>,
}

impl Message {
    pub(crate) fn size(&self) -> usize {
        self.key.len() + self.value.len() + self.old_value.as_ref().map_or(0, String::len) + 160
    }
}

pub(crate) fn push_json(out: &mut String, text: &str) {
    // Text without anything to escape, as most is, needs no detour.
    if text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&Json::from(text).to_string());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}
