//! The tables: rows in the order in which they were written, and their keys.

use super::MemoryError;
use super::column::fill;
use crate::predicate::Predicate;
use crate::source::{Change, Event, Relation, Transaction};
use crate::table::{RelationName, Row};
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc;

pub(super) struct Store {
    pub(super) tables: HashMap<u32, Stored>,
    pub(super) names: HashMap<RelationName, u32>,
    pub(super) followers: Vec<mpsc::Sender<Event>>,
    pub(super) next_relation: u32,
    next_row: u64,
    pub(super) next_xid: u64,
    pub(super) lsn: u64,
}

pub(super) struct Stored {
    pub(super) relation: Arc<Relation>,
    /// In the order in which they were written, as a heap has them.
    pub(super) rows: BTreeMap<u64, Row>,
    /// Of a table with a primary key.
    pub(super) keys: HashMap<String, u64>,
}

pub(super) type Values = Vec<(String, Option<SmolStr>)>;

pub(super) enum Operation {
    Insert(RelationName, Values),
    Update(RelationName, String, Vec<SmolStr>, Values),
    Delete(RelationName, String, Vec<SmolStr>),
    Truncate(RelationName),
}

pub(super) enum Undo {
    Remove(u32, u64),
    Restore(u32, u64, Row),
    RestoreAll(u32, BTreeMap<u64, Row>, HashMap<String, u64>),
}

impl Store {
    pub(super) fn new() -> Store {
        Store {
            tables: HashMap::new(),
            names: HashMap::new(),
            followers: Vec::new(),
            next_relation: 16_384,
            next_row: 0,
            // Postgres' first ordinary transaction; the first segment of its log.
            next_xid: 3,
            lsn: 0x100_0000,
        }
    }

    pub(super) fn named(&self, name: &RelationName) -> Result<&Stored, MemoryError> {
        let missing = || MemoryError::Relation(format!("table {name} does not exist"));
        let id = self.names.get(name).ok_or_else(missing)?;
        self.tables.get(id).ok_or_else(missing)
    }

    /// Reserves a place in every follower's queue, so that every change can be sent.
    pub(super) async fn permits(&mut self) -> Vec<mpsc::OwnedPermit<Event>> {
        self.followers.retain(|follower| !follower.is_closed());
        let mut permits = Vec::with_capacity(self.followers.len());
        for follower in &self.followers {
            if let Ok(permit) = follower.clone().reserve_owned().await {
                permits.push(permit);
            }
        }
        permits
    }

    pub(super) fn send(
        &mut self,
        permits: Vec<mpsc::OwnedPermit<Event>>,
        changes: Vec<Change>,
    ) -> u64 {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.lsn += 64 + 64 * changes.len() as u64;
        let transaction = Transaction {
            xid,
            lsn: self.lsn,
            changes,
            complete: true,
        };
        tell(permits, &Event::Transaction(transaction));
        xid
    }

    pub(super) fn apply(
        &mut self,
        operation: Operation,
        changes: &mut Vec<Change>,
        undo: &mut Vec<Undo>,
    ) -> Result<(), MemoryError> {
        match operation {
            Operation::Insert(name, values) => {
                let stored = self.named(&name)?;
                let id = stored.relation.id;
                let row = fill(&stored.relation.table, None, &values)?;
                self.put(id, row.clone(), undo)?;
                changes.push(Change::Insert {
                    relation: id,
                    new: row,
                });
            }
            Operation::Update(name, text, params, values) => {
                let (id, found) = self.find(&name, &text, &params)?;
                for (place, old) in found {
                    let new = fill(&self.named(&name)?.relation.table, Some(&old), &values)?;
                    self.take(id, place, undo);
                    self.put(id, new.clone(), undo)?;
                    changes.push(Change::Update {
                        relation: id,
                        old,
                        new,
                    });
                }
            }
            Operation::Delete(name, text, params) => {
                let (id, found) = self.find(&name, &text, &params)?;
                for (place, old) in found {
                    self.take(id, place, undo);
                    changes.push(Change::Delete { relation: id, old });
                }
            }
            Operation::Truncate(name) => {
                let id = self.named(&name)?.relation.id;
                if let Some(stored) = self.tables.get_mut(&id) {
                    let rows = std::mem::take(&mut stored.rows);
                    let keys = std::mem::take(&mut stored.keys);
                    undo.push(Undo::RestoreAll(id, rows, keys));
                }
                changes.push(Change::Truncate { relation: id });
            }
        }
        Ok(())
    }

    /// The rows of a predicate; by their key where it says which.
    fn find(
        &self,
        name: &RelationName,
        text: &str,
        params: &[SmolStr],
    ) -> Result<(u32, Vec<(u64, Row)>), MemoryError> {
        let stored = self.named(name)?;
        let table = &stored.relation.table;
        let predicate = Predicate::parse(text, table, params)?;
        let mut found = Vec::new();
        let mut test = |place: u64, row: &Row| -> Result<(), MemoryError> {
            if predicate.matches(row)? {
                found.push((place, row.clone()));
            }
            Ok(())
        };
        let mut key = table.key_columns().map(|name| table.column_index(name));
        let only = if let (Some(first), None) = (key.next(), key.next()) {
            first
        } else {
            None
        };
        match predicate.keys() {
            Some(keys) if Some(keys.column) == only => {
                for value in keys.values {
                    let probe: Row = (0..table.columns().len())
                        .map(|i| (i == keys.column).then(|| value.clone()))
                        .collect();
                    if let Some(place) = stored.keys.get(&table.row_key(&probe))
                        && let Some(row) = stored.rows.get(place)
                    {
                        test(*place, row)?;
                    }
                }
            }
            _ => {
                for (place, row) in &stored.rows {
                    test(*place, row)?;
                }
            }
        }
        Ok((stored.relation.id, found))
    }

    fn put(&mut self, id: u32, row: Row, undo: &mut Vec<Undo>) -> Result<(), MemoryError> {
        let place = self.next_row;
        self.next_row += 1;
        let Some(stored) = self.tables.get_mut(&id) else {
            return Ok(());
        };
        let table = &stored.relation.table;
        if table.key_columns().next().is_some() {
            let key = table.row_key(&row);
            if stored.keys.contains_key(&key) {
                return Err(MemoryError::Duplicate(key));
            }
            stored.keys.insert(key, place);
        }
        stored.rows.insert(place, row);
        undo.push(Undo::Remove(id, place));
        Ok(())
    }

    fn take(&mut self, id: u32, place: u64, undo: &mut Vec<Undo>) {
        if let Some(stored) = self.tables.get_mut(&id)
            && let Some(row) = stored.rows.remove(&place)
        {
            stored.keys.remove(&stored.relation.table.row_key(&row));
            undo.push(Undo::Restore(id, place, row));
        }
    }

    pub(super) fn revert(&mut self, undo: Vec<Undo>) {
        for step in undo.into_iter().rev() {
            match step {
                Undo::Remove(id, place) => self.take(id, place, &mut Vec::new()),
                Undo::Restore(id, place, row) => {
                    if let Some(stored) = self.tables.get_mut(&id) {
                        let table = &stored.relation.table;
                        if table.key_columns().next().is_some() {
                            stored.keys.insert(table.row_key(&row), place);
                        }
                        stored.rows.insert(place, row);
                    }
                }
                Undo::RestoreAll(id, rows, keys) => {
                    if let Some(stored) = self.tables.get_mut(&id) {
                        stored.rows = rows;
                        stored.keys = keys;
                    }
                }
            }
        }
    }
}

pub(super) fn tell(permits: Vec<mpsc::OwnedPermit<Event>>, event: &Event) {
    for permit in permits {
        permit.send(event.clone());
    }
}
