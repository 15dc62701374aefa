//! The entries of this node: listed by its channels, taken over from others, given up.

use std::time::Duration;

use super::{
    Address, Holder, Limits, Replica, TrackError,
    peer::Peer,
    table::{Entry, Linger, mix},
};
use crate::presence::{
    key::Key,
    message::{EntryId, Op, Put, RoomName},
    meta::{MetaRef, MetaText},
};

impl<A: Address> Replica<A> {
    /// Lists a channel under a key. An entry whose channel is gone is taken over, those first whose
    /// meta is the `same`.
    pub(crate) fn track(
        &mut self,
        room: &RoomName,
        key: &Key,
        meta: &MetaText,
        same: impl Fn(&MetaText) -> bool,
        limits: &Limits,
    ) -> Result<Holder, TrackError> {
        check(meta, limits)?;
        let holder = Holder(self.next_holder);
        let number = match self.candidate(room, key, &same) {
            Some(old) if old.inc == self.inc => {
                self.take_back(old, meta, &same);
                old.number
            }
            Some(old) => self.take_over(old, room, key, meta, &same),
            None => {
                self.check_room(room, key, limits)?;
                let own = self.new_ref();
                self.put(room, key, meta, own, None)
            }
        };
        self.next_holder += 1;
        self.holders.insert(holder, number);
        self.attached.insert(number, holder);
        Ok(holder)
    }

    /// Gives an entry another meta; nothing happens where it is equal.
    pub(crate) fn update(
        &mut self,
        holder: Holder,
        meta: &MetaText,
        limits: &Limits,
    ) -> Result<(), TrackError> {
        check(meta, limits)?;
        let number = self.holders.get(&holder).ok_or(TrackError::NotTracked)?;
        let id = self.own(*number);
        let entry = self.table.entry(id).ok_or(TrackError::NotTracked)?;
        if !has_meta(entry, |known| known == meta) {
            self.set_meta(id, meta);
        }
        Ok(())
    }

    /// Returns the meta that a channel is listed with.
    pub(crate) fn meta(&self, holder: Holder) -> Option<&MetaText> {
        let entry = self.table.entry(self.own(*self.holders.get(&holder)?))?;
        entry.what.as_ref().map(|(_, meta)| meta)
    }

    /// Takes a channel off the list: at once, or when it has not come back for so long.
    pub(crate) fn release(&mut self, holder: Holder, grace: Duration) {
        let Some(number) = self.holders.remove(&holder) else {
            return;
        };
        self.attached.remove(&number);
        let id = self.own(number);
        let millis = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX - 1);
        if millis == 0 {
            self.remove(id);
            return;
        }
        self.table.linger(id, self.clock.lived, millis);
        self.append(&Op::Linger { number, millis });
    }

    fn own(&self, number: u64) -> EntryId {
        EntryId {
            inc: self.inc,
            number,
        }
    }

    fn append(&mut self, op: &Op) {
        self.log.append(op);
        self.untold.get_or_insert(self.clock.lived);
        // The log must not forget what was never sent.
        if self.log.version() - self.told >= 1_000 {
            self.flush();
        }
    }

    fn new_ref(&mut self) -> MetaRef {
        let own = self.next_ref;
        self.next_ref = match own.number.checked_add(1) {
            Some(number) => MetaRef { number, ..own },
            None => MetaRef {
                inc: mix(own.inc),
                number: 0,
            },
        };
        own
    }

    fn put(
        &mut self,
        room: &RoomName,
        key: &Key,
        meta: &MetaText,
        own: MetaRef,
        replaces: Option<EntryId>,
    ) -> u64 {
        // A message may claim to replace an entry that there is not yet.
        while self.table.is_replaced(self.own(self.next_number)) {
            self.next_number += 1;
        }
        let number = self.next_number;
        self.next_number += 1;
        let put = Put {
            number,
            room: room.clone(),
            own,
            what: Some((key.clone(), meta.clone())),
            replaces,
            linger: None,
        };
        self.append(&Op::Put(put.clone()));
        self.table.put(self.inc, put, self.clock.lived);
        number
    }

    fn set_meta(&mut self, id: EntryId, meta: &MetaText) {
        let own = self.new_ref();
        let op = Op::Update {
            number: id.number,
            own,
            meta: Some(meta.clone()),
        };
        self.append(&op);
        self.table.update(id, own, Some(meta.clone()));
    }

    /// Removes an entry. While the one that it replaces is still there, something must go on
    /// hiding that.
    fn remove(&mut self, id: EntryId) {
        let replaces = self.table.entry(id).and_then(|entry| entry.replaces);
        if replaces.is_some_and(|replaced| self.table.entry(replaced).is_some()) {
            let number = id.number;
            self.append(&Op::Linger { number, millis: 0 });
            self.table.linger(id, self.clock.lived, 0);
            if !self.tombstones.contains(&id) {
                self.tombstones.push(id);
            }
            return;
        }
        self.append(&Op::Del { number: id.number });
        self.table.del(id);
    }

    /// Returns an entry whose channel is gone and that a new one may take over.
    fn candidate(
        &self,
        room: &RoomName,
        key: &Key,
        same: impl Fn(&MetaText) -> bool,
    ) -> Option<EntryId> {
        let ids = self.table.room(room)?.keys.get(key)?;
        let gone = |id: &&EntryId| {
            let entry = self.table.entry(**id);
            entry.is_some_and(|entry| entry.shown && self.is_gone(**id, entry))
        };
        let equal = |id: &&EntryId| {
            let entry = self.table.entry(**id);
            entry.is_some_and(|entry| has_meta(entry, &same))
        };
        let found = ids.iter().filter(gone).find(equal);
        found.or_else(|| ids.iter().find(gone)).copied()
    }

    fn is_gone(&self, id: EntryId, entry: &Entry) -> bool {
        let silent = |peer: &Peer<A>| {
            peer.superseded.is_some()
                || self.clock.awake.saturating_sub(peer.heard) >= self.timing.silent_after
        };
        entry.linger != Linger::No || self.peers.get(&id.inc).is_some_and(silent)
    }

    fn take_back(&mut self, old: EntryId, meta: &MetaText, same: impl Fn(&MetaText) -> bool) {
        let equal = self
            .table
            .entry(old)
            .is_some_and(|entry| has_meta(entry, same));
        match equal {
            true => self.counts.taken_over += 1,
            false => self.set_meta(old, meta),
        }
        self.append(&Op::Back { number: old.number });
        self.table.back(old);
    }

    fn take_over(
        &mut self,
        old: EntryId,
        room: &RoomName,
        key: &Key,
        meta: &MetaText,
        same: impl Fn(&MetaText) -> bool,
    ) -> u64 {
        let entry = self.table.entry(old);
        let equal = entry.filter(|entry| has_meta(entry, same));
        let kept = equal.and_then(|entry| Some((entry.own, entry.what.as_ref()?.1.clone())));
        match kept {
            Some((own, meta)) => {
                self.counts.taken_over += 1;
                self.put(room, key, &meta, own, Some(old))
            }
            None => {
                let own = self.new_ref();
                self.put(room, key, meta, own, Some(old))
            }
        }
    }

    fn check_room(&self, room: &RoomName, key: &Key, limits: &Limits) -> Result<(), TrackError> {
        let Some(room) = self.table.room(room) else {
            return Ok(());
        };
        let metas = room.view.get(key.as_str()).count();
        if metas == 0 && room.view.count() >= limits.max {
            return Err(TrackError::Full { max: limits.max });
        }
        if metas >= limits.max_per_key {
            return Err(TrackError::KeyFull {
                key: key.as_str().to_owned(),
                max: limits.max_per_key,
            });
        }
        Ok(())
    }

    /// Gives up the entries that others have taken over. One whose channel is there after all,
    /// since this node was only out of reach, is listed anew.
    pub(super) fn yield_superseded(&mut self) {
        for id in self.table.take_superseded() {
            let Some(entry) = self.table.entry(id) else {
                continue;
            };
            let what = entry.what.clone();
            let room = self.table.name(entry.room).cloned();
            if let Some(holder) = self.attached.remove(&id.number)
                && let (Some((key, meta)), Some(room)) = (what, room)
            {
                let own = self.new_ref();
                let number = self.put(&room, &key, &meta, own, None);
                self.holders.insert(holder, number);
                self.attached.insert(number, holder);
            }
            self.remove(id);
        }
    }

    pub(super) fn drop_tombstones(&mut self) {
        let table = &self.table;
        let hides = |id: &EntryId| {
            let replaces = table.entry(*id).and_then(|entry| entry.replaces);
            replaces.is_some_and(|replaced| table.entry(replaced).is_some())
        };
        let (kept, over) = std::mem::take(&mut self.tombstones)
            .into_iter()
            .partition(hides);
        self.tombstones = kept;
        let over: Vec<EntryId> = over;
        for id in over {
            self.append(&Op::Del { number: id.number });
            self.table.del(id);
        }
    }

    pub(super) fn remove_expired(&mut self, id: EntryId) {
        let lingers = |entry: &Entry| entry.linger == Linger::Over;
        if self.table.entry(id).is_some_and(lingers) && !self.tombstones.contains(&id) {
            self.remove(id);
        }
    }
}

fn check(meta: &MetaText, limits: &Limits) -> Result<(), TrackError> {
    let len = meta.as_str().len();
    match len > limits.max_meta {
        true => Err(TrackError::MetaTooLong {
            len,
            max: limits.max_meta,
        }),
        false => Ok(()),
    }
}

fn has_meta(entry: &Entry, same: impl Fn(&MetaText) -> bool) -> bool {
    entry.what.as_ref().is_some_and(|(_, meta)| same(meta))
}
