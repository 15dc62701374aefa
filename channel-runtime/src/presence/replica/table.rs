//! The entries of all nodes, and the views that follow from them. What a view shows depends on
//! the entries alone, never on the way they came: an entry is shown unless its owner is hidden,
//! its time is over, or another entry replaces it.

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry as Place},
    time::Duration,
};

use crate::presence::{
    key::Key,
    message::{EntryId, Put, RoomName},
    meta::{MetaRef, MetaText},
    view::View,
};

/// One entry. It holds a meta in the view while it is `shown`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) room: RoomId,
    pub(super) own: MetaRef,
    /// `None` where no node may show it.
    pub(super) what: Option<(Key, MetaText)>,
    pub(super) replaces: Option<EntryId>,
    pub(super) linger: Linger,
    pub(super) shown: bool,
}

/// Says if the channel of an entry is gone, and until when it may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linger {
    No,
    Until(Duration),
    Over,
}

/// The entries of one node.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) entries: HashMap<u64, Entry>,
    /// The sum of its entries, which two nodes compare.
    pub(super) hash: u64,
    visible: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RoomId(u32);

/// One presence of one topic.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: RoomName,
    pub(super) view: View,
    /// The entries of a key, shown or not.
    pub(super) keys: HashMap<Key, Vec<EntryId>>,
    /// How many entries name the room.
    entries: usize,
}

#[derive(Debug)]
pub(super) struct Table {
    /// The node itself.
    own: u64,
    owners: HashMap<u64, Owner>,
    rooms: HashMap<RoomId, Room>,
    room_ids: HashMap<RoomName, RoomId>,
    next_room: u32,
    /// How many entries of visible owners replace an entry.
    replaced: HashMap<EntryId, u32>,
    deadlines: BTreeSet<(Duration, EntryId)>,
    /// Entries of this node that another one has replaced.
    superseded: Vec<EntryId>,
    /// Rooms whose view has changed since it was asked.
    changed: HashSet<RoomId>,
}

impl Table {
    pub(super) fn new(own: u64) -> Self {
        let mut table = Table {
            own,
            owners: HashMap::new(),
            rooms: HashMap::new(),
            room_ids: HashMap::new(),
            next_room: 0,
            replaced: HashMap::new(),
            deadlines: BTreeSet::new(),
            superseded: Vec::new(),
            changed: HashSet::new(),
        };
        table.add_owner(own);
        table
    }

    pub(super) fn add_owner(&mut self, inc: u64) {
        self.owners.entry(inc).or_insert_with(|| Owner {
            entries: HashMap::new(),
            hash: 0,
            visible: true,
        });
    }

    pub(super) fn owner(&self, inc: u64) -> Option<&Owner> {
        self.owners.get(&inc)
    }

    pub(super) fn entry(&self, id: EntryId) -> Option<&Entry> {
        self.owners.get(&id.inc)?.entries.get(&id.number)
    }

    fn entry_mut(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.owners.get_mut(&id.inc)?.entries.get_mut(&id.number)
    }

    pub(super) fn room(&self, name: &RoomName) -> Option<&Room> {
        self.rooms.get(self.room_ids.get(name)?)
    }

    pub(super) fn room_mut(&mut self, name: &RoomName) -> Option<&mut Room> {
        self.rooms.get_mut(self.room_ids.get(name)?)
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.rooms.values()
    }

    pub(super) fn name(&self, id: RoomId) -> Option<&RoomName> {
        self.rooms.get(&id).map(|room| &room.name)
    }

    /// Adds an entry, `now` being the time that its rest is counted from.
    pub(super) fn put(&mut self, inc: u64, put: Put, now: Duration) {
        let id = EntryId {
            inc,
            number: put.number,
        };
        self.del(id);
        let room = self.enter(&put.room);
        if let (Some((key, _)), Some(room)) = (&put.what, self.rooms.get_mut(&room)) {
            room.keys.entry(key.clone()).or_default().push(id);
        }
        let linger = put
            .linger
            .map_or(Linger::No, |millis| lingering(now, millis));
        let entry = Entry {
            room,
            own: put.own,
            what: put.what,
            replaces: put.replaces,
            linger,
            shown: false,
        };
        let Some(owner) = self.owners.get_mut(&inc) else {
            return;
        };
        owner.hash ^= hash(put.number, &entry);
        owner.entries.insert(put.number, entry);
        let visible = owner.visible;
        let updated = put
            .replaces
            .and_then(|replaced| self.entry(replaced))
            .filter(|replaced| replaced.shown && replaced.own != put.own)
            .map(|replaced| replaced.own);
        if let Linger::Until(deadline) = linger {
            self.deadlines.insert((deadline, id));
        }
        self.settle(id, updated);
        if let (Some(replaced), true) = (put.replaces, visible) {
            self.replace(replaced);
        }
    }

    /// Gives an entry another meta.
    pub(super) fn update(&mut self, id: EntryId, own: MetaRef, meta: Option<MetaText>) {
        let Some(owner) = self.owners.get_mut(&id.inc) else {
            return;
        };
        let Some(entry) = owner.entries.get_mut(&id.number) else {
            return;
        };
        owner.hash ^= hash(id.number, entry);
        let old = std::mem::replace(&mut entry.own, own);
        owner.hash ^= hash(id.number, entry);
        match (&mut entry.what, meta) {
            (Some((key, text)), Some(meta)) => {
                *text = meta;
                if entry.shown
                    && let Some(room) = self.rooms.get_mut(&entry.room)
                {
                    room.view.replace(key, old, own, text);
                    self.changed.insert(entry.room);
                }
            }
            (Some((key, _)), None) => {
                if entry.shown
                    && let Some(room) = self.rooms.get_mut(&entry.room)
                {
                    room.view.remove(key, old);
                    self.changed.insert(entry.room);
                }
                entry.shown = false;
                let key = key.clone();
                let room = entry.room;
                entry.what = None;
                self.forget_key(room, &key, id);
            }
            (None, _) => {}
        }
    }

    pub(super) fn linger(&mut self, id: EntryId, now: Duration, millis: u32) {
        let linger = lingering(now, millis);
        self.set_linger(id, linger);
        if let (Linger::Until(deadline), Some(_)) = (linger, self.entry(id)) {
            self.deadlines.insert((deadline, id));
        }
    }

    pub(super) fn back(&mut self, id: EntryId) {
        self.set_linger(id, Linger::No);
    }

    fn set_linger(&mut self, id: EntryId, linger: Linger) {
        let Some(owner) = self.owners.get_mut(&id.inc) else {
            return;
        };
        let Some(entry) = owner.entries.get_mut(&id.number) else {
            return;
        };
        owner.hash ^= hash(id.number, entry);
        let before = std::mem::replace(&mut entry.linger, linger);
        owner.hash ^= hash(id.number, entry);
        if let Linger::Until(deadline) = before {
            self.deadlines.remove(&(deadline, id));
        }
        self.settle(id, None);
    }

    /// Hides the entries whose time is over, and returns those of this node.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<EntryId> {
        let mut own = Vec::new();
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.deadlines.pop_first();
            if let Some(entry) = self.entry(id)
                && entry.linger == Linger::Until(deadline)
            {
                self.set_linger(id, Linger::Over);
            }
            if id.inc == self.own {
                own.push(id);
            }
        }
        own
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Removes an entry.
    pub(super) fn del(&mut self, id: EntryId) {
        let Some(owner) = self.owners.get_mut(&id.inc) else {
            return;
        };
        let Some(entry) = owner.entries.remove(&id.number) else {
            return;
        };
        owner.hash ^= hash(id.number, &entry);
        let visible = owner.visible;
        if let Linger::Until(deadline) = entry.linger {
            self.deadlines.remove(&(deadline, id));
        }
        if let Some((key, _)) = &entry.what {
            if entry.shown
                && let Some(room) = self.rooms.get_mut(&entry.room)
            {
                room.view.remove(key, entry.own);
                self.changed.insert(entry.room);
            }
            self.forget_key(entry.room, key, id);
        }
        if let (Some(replaced), true) = (entry.replaces, visible) {
            self.unreplace(replaced);
        }
        self.exit(entry.room);
    }

    /// Removes a node and its entries.
    pub(super) fn del_owner(&mut self, inc: u64) {
        let numbers: Vec<_> = self
            .owners
            .get(&inc)
            .map(|owner| owner.entries.keys().copied().collect())
            .unwrap_or_default();
        for number in numbers {
            self.del(EntryId { inc, number });
        }
        self.owners.remove(&inc);
    }

    /// Shows or hides all that a node holds.
    pub(super) fn set_visible(&mut self, inc: u64, visible: bool) {
        let Some(owner) = self.owners.get_mut(&inc) else {
            return;
        };
        if std::mem::replace(&mut owner.visible, visible) == visible {
            return;
        }
        let all = owner.entries.iter();
        let all: Vec<_> = all
            .map(|(number, entry)| (*number, entry.replaces))
            .collect();
        for (number, replaces) in all {
            self.settle(EntryId { inc, number }, None);
            match (replaces, visible) {
                (Some(replaced), true) => self.replace(replaced),
                (Some(replaced), false) => self.unreplace(replaced),
                (None, _) => {}
            }
        }
    }

    fn replace(&mut self, id: EntryId) {
        *self.replaced.entry(id).or_default() += 1;
        if id.inc == self.own && self.entry(id).is_some() {
            self.superseded.push(id);
        }
        self.settle(id, None);
    }

    fn unreplace(&mut self, id: EntryId) {
        if let Place::Occupied(mut count) = self.replaced.entry(id) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        self.settle(id, None);
    }

    /// Returns whether an entry of a visible node replaces this one.
    pub(super) fn is_replaced(&self, id: EntryId) -> bool {
        self.replaced.contains_key(&id)
    }

    pub(super) fn take_superseded(&mut self) -> Vec<EntryId> {
        std::mem::take(&mut self.superseded)
    }

    /// Brings the view in line with an entry.
    fn settle(&mut self, id: EntryId, updated: Option<MetaRef>) {
        let Some(owner) = self.owners.get(&id.inc) else {
            return;
        };
        let visible = owner.visible && !self.replaced.contains_key(&id);
        let Some(entry) = self.entry_mut(id) else {
            return;
        };
        let show = visible && entry.linger != Linger::Over && entry.what.is_some();
        if std::mem::replace(&mut entry.shown, show) == show {
            return;
        }
        let (room, own) = (entry.room, entry.own);
        let Some((key, meta)) = entry.what.clone() else {
            return;
        };
        if let Some(shown_in) = self.rooms.get_mut(&room) {
            match show {
                true => shown_in.view.insert(&key, own, &meta, updated),
                false => shown_in.view.remove(&key, own),
            }
            self.changed.insert(room);
        }
    }

    fn enter(&mut self, name: &RoomName) -> RoomId {
        let id = match self.room_ids.get(name) {
            Some(id) => *id,
            None => {
                while self.rooms.contains_key(&RoomId(self.next_room)) {
                    self.next_room = self.next_room.wrapping_add(1);
                }
                let id = RoomId(self.next_room);
                self.next_room = self.next_room.wrapping_add(1);
                self.room_ids.insert(name.clone(), id);
                let room = Room {
                    name: name.clone(),
                    view: View::default(),
                    keys: HashMap::new(),
                    entries: 0,
                };
                self.rooms.insert(id, room);
                id
            }
        };
        if let Some(room) = self.rooms.get_mut(&id) {
            room.entries += 1;
        }
        id
    }

    fn exit(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&id) {
            room.entries -= 1;
        }
        // It goes when its clients know, and a window has passed: see `due`.
        self.changed.insert(id);
    }

    fn forget_key(&mut self, room: RoomId, key: &Key, id: EntryId) {
        if let Some(room) = self.rooms.get_mut(&room)
            && let Place::Occupied(mut ids) = room.keys.entry(key.clone())
        {
            ids.get_mut().retain(|known| *known != id);
            if ids.get().is_empty() {
                ids.remove();
            }
        }
    }

    /// Drops a room that no entry names and whose clients know so.
    fn drop_if_empty(&mut self, id: RoomId) {
        let empty = |room: &Room| room.entries == 0 && room.view.is_empty();
        if self.rooms.get(&id).is_some_and(empty)
            && let Some(room) = self.rooms.remove(&id)
        {
            self.room_ids.remove(&room.name);
            self.changed.remove(&id);
        }
    }

    /// Computes the visible metas from scratch: each with the number of entries that hold it.
    #[cfg(test)]
    pub(super) fn recomputed(&self) -> std::collections::BTreeMap<(String, Key, MetaRef), u32> {
        let visible = || self.owners.values().filter(|owner| owner.visible);
        let replaced: HashSet<_> = visible()
            .flat_map(|owner| owner.entries.values().filter_map(|entry| entry.replaces))
            .collect();
        let mut all = std::collections::BTreeMap::new();
        for (inc, owner) in self.owners.iter().filter(|(_, owner)| owner.visible) {
            for (number, entry) in &owner.entries {
                let id = EntryId {
                    inc: *inc,
                    number: *number,
                };
                if entry.linger == Linger::Over || replaced.contains(&id) {
                    continue;
                }
                if let (Some((key, _)), Some(room)) = (&entry.what, self.name(entry.room)) {
                    let place = (room.topic.to_string(), key.clone(), entry.own);
                    *all.entry(place).or_default() += 1;
                }
            }
        }
        all
    }

    /// Returns the rooms whose next diff is due at `now`, and when the first of the others is.
    pub(super) fn due(
        &mut self,
        now: Duration,
        window: Duration,
    ) -> (Vec<RoomName>, Option<Duration>) {
        let (mut due, mut next) = (Vec::new(), None);
        let mut quiet = Vec::new();
        for id in &self.changed {
            let Some(room) = self.rooms.get_mut(id) else {
                quiet.push(*id);
                continue;
            };
            let at = match room.view.due(window) {
                Some(at) if at <= now => {
                    due.push(room.name.clone());
                    continue;
                }
                Some(at) => at,
                // One that goes and comes again has a window, too.
                None if room.entries == 0 && room.view.quiet_at(window) > now => {
                    room.view.quiet_at(window)
                }
                None => {
                    quiet.push(*id);
                    continue;
                }
            };
            next = Some(next.map_or(at, |next: Duration| next.min(at)));
        }
        for id in quiet {
            self.changed.remove(&id);
            self.drop_if_empty(id);
        }
        (due, next)
    }
}

fn lingering(now: Duration, millis: u32) -> Linger {
    match millis {
        0 => Linger::Over,
        _ => Linger::Until(now + Duration::from_millis(millis.into())),
    }
}

/// A number that entries which differ do not share. Every release must compute the same.
fn hash(number: u64, entry: &Entry) -> u64 {
    let lingers = u64::from(entry.linger != Linger::No);
    [entry.own.inc, entry.own.number.into(), lingers]
        .into_iter()
        .fold(mix(number), |hash, part| mix(hash ^ part))
}

/// The finalizer of SplitMix64.
pub(super) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
