//! The files of an upload in the order in which they were chosen, found by ref and by uuid: no
//! look-up grows with their number.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::state::EntryState;

pub(super) struct EntryStates<D, W, L> {
    next: u64,
    all: BTreeMap<u64, EntryState<D, W, L>>,
    refs: HashMap<String, u64>,
    uuids: HashMap<Uuid, u64>,
}

impl<D, W, L> EntryStates<D, W, L> {
    pub(super) fn new() -> Self {
        EntryStates {
            next: 0,
            all: BTreeMap::new(),
            refs: HashMap::new(),
            uuids: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &EntryState<D, W, L>> {
        self.all.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut EntryState<D, W, L>> {
        self.all.values_mut()
    }

    pub(super) fn has(&self, entry_ref: &str) -> bool {
        self.refs.contains_key(entry_ref)
    }

    /// Adds a file at the end. Its ref must not be present.
    pub(super) fn push(&mut self, slot: EntryState<D, W, L>) {
        let at = self.next;
        self.next += 1;
        self.refs.insert(slot.entry.entry_ref().to_owned(), at);
        self.uuids.insert(slot.entry.uuid(), at);
        self.all.insert(at, slot);
    }

    pub(super) fn named(&mut self, entry_ref: &str) -> Option<&mut EntryState<D, W, L>> {
        self.all.get_mut(self.refs.get(entry_ref)?)
    }

    pub(super) fn get(&self, uuid: Uuid) -> Option<&EntryState<D, W, L>> {
        self.all.get(self.uuids.get(&uuid)?)
    }

    pub(super) fn get_mut(&mut self, uuid: Uuid) -> Option<&mut EntryState<D, W, L>> {
        self.all.get_mut(self.uuids.get(&uuid)?)
    }

    pub(super) fn remove(&mut self, uuid: Uuid) -> Option<EntryState<D, W, L>> {
        let slot = self.all.remove(&self.uuids.remove(&uuid)?)?;
        self.refs.remove(slot.entry.entry_ref());
        Some(slot)
    }

    /// Removes and returns all files.
    pub(super) fn take(&mut self) -> Vec<EntryState<D, W, L>> {
        self.refs.clear();
        self.uuids.clear();
        std::mem::take(&mut self.all).into_values().collect()
    }
}
