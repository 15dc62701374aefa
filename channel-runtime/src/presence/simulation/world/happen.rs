//! Events that happen to nodes and users.

use std::time::Duration;

use super::{Broken, Client, GRACE, KEYS, Place, Process, ROOMS, Session, SimAddress, World};
use crate::presence::{
    client::{StockClient, StrictClient},
    key::Key,
    message::{Message, Op, Put, RoomName},
    meta::{MetaRef, MetaText},
    replica::{Holder, Limits},
};

impl World {
    pub(super) fn happen(&mut self) -> Result<(), String> {
        let at = self.random.below(self.nodes.len());
        match self.random.below(20) {
            0..=4 => self.arrive(at),
            5..=7 => self.update()?,
            8 | 9 => self.leave(),
            10 | 11 => self.lose(),
            12..=14 => self.come_back(at),
            15 | 16 => return self.watch(at),
            _ if self.calm => self.forge(at),
            17 => {
                let cut = !self.nodes[at].cut && self.random.chance(70);
                let noticed = self.random.chance(60);
                self.set_cut(at, cut, noticed);
            }
            18 => self.kill_or_start(at),
            _ => self.stop_or_step(at),
        }
        self.show(at)
    }

    pub(super) fn room(at: usize) -> RoomName {
        RoomName {
            presence: "Room".into(),
            topic: ROOMS[at].into(),
        }
    }

    pub(super) fn text(meta: u64) -> MetaText {
        MetaText::new(&format!("{{\"n\":{meta}}}")).unwrap()
    }

    /// Lists a user on a node.
    pub(super) fn track(&mut self, at: usize, room: usize, key: usize, meta: u64) -> Option<Place> {
        let (process, now) = self.process(at)?;
        process.replica.tick(now);
        let key = Key::new(KEYS[key]).unwrap();
        let text = Self::text(meta);
        let tracked = process.replica.track(
            &Self::room(room),
            &key,
            &text,
            |other| *other == text,
            &Limits::default(),
        );
        let place = tracked.ok().map(|holder| Place::At {
            inc: process.inc,
            holder,
        });
        self.after(at);
        place
    }

    pub(super) fn arrive(&mut self, at: usize) {
        let (room, key) = (
            self.random.below(ROOMS.len()),
            self.random.below(KEYS.len()),
        );
        let meta = self.random.next() % 3;
        if let Some(place) = self.track(at, room, key, meta) {
            self.note(|| format!("n{at}: {} arrives in {room}", KEYS[key]));
            // It may have taken over the entry of one who was lost.
            self.shorten(room, key, self.now);
            self.sessions.push(Session {
                room,
                key,
                since: self.now,
                place,
                meta,
            });
        }
    }

    pub(super) fn first_end(&self, room: usize, key: usize) -> Option<Duration> {
        let of_key = self
            .sessions
            .iter()
            .filter(|session| (session.room, session.key) == (room, key));
        let ends = of_key.filter_map(|session| match session.place {
            Place::Lost { until } => Some(until),
            Place::At { .. } => None,
        });
        ends.min()
    }

    /// Of the lost sessions of a key, any may have the entry that ends first.
    pub(super) fn shorten(&mut self, room: usize, key: usize, end: Duration) {
        for session in &mut self.sessions {
            if let Place::Lost { until } = &mut session.place
                && (session.room, session.key) == (room, key)
            {
                *until = (*until).min(end);
            }
        }
    }

    /// Picks a session that is at a running node.
    pub(super) fn any_session(&mut self) -> Option<(usize, usize, Holder)> {
        if self.sessions.is_empty() {
            return None;
        }
        let picked = self.random.below(self.sessions.len());
        let Place::At { inc, holder } = self.sessions[picked].place else {
            return None;
        };
        let at =
            (0..self.nodes.len()).find(|at| self.running(*at).map(|one| one.inc) == Some(inc))?;
        Some((picked, at, holder))
    }

    pub(super) fn update(&mut self) -> Result<(), String> {
        let Some((picked, at, holder)) = self.any_session() else {
            return Ok(());
        };
        let meta = self.random.next() % 3;
        self.seen.updates += 1;
        let (room, key) = (self.sessions[picked].room, self.sessions[picked].key);
        self.note(|| format!("n{at}: {} in {room} updates to {meta}", KEYS[key]));
        if self.broken == Some(Broken::UpdateLeaves) {
            if let Some((process, now)) = self.process(at) {
                process.replica.release(holder, Duration::ZERO);
                process.replica.tick(now);
            }
            self.after(at);
            let until = self.now + GRACE;
            self.sessions[picked].place = Place::Lost { until };
            self.show(at)?;
            if let Some(place) = self.track(at, room, key, meta) {
                self.sessions[picked].place = place;
            }
        } else if let Some((process, _)) = self.process(at) {
            let text = Self::text(meta);
            let updated = process.replica.update(holder, &text, &Limits::default());
            assert_eq!(updated, Ok(()));
            assert_eq!(process.replica.meta(holder), Some(&text));
            self.after(at);
        }
        self.sessions[picked].meta = meta;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        let Some((picked, at, holder)) = self.any_session() else {
            return;
        };
        let session = self.sessions.swap_remove(picked);
        self.note(|| format!("n{at}: {} leaves {}", KEYS[session.key], session.room));
        if let Some((process, _)) = self.process(at) {
            process.replica.release(holder, Duration::ZERO);
            self.after(at);
        }
    }

    /// A connection breaks.
    pub(super) fn lose(&mut self) {
        let Some((picked, at, holder)) = self.any_session() else {
            return;
        };
        let until = self.now + GRACE;
        let session = &mut self.sessions[picked];
        session.place = Place::Lost { until };
        let (room, key) = (session.room, session.key);
        self.note(|| format!("n{at}: {} is lost in {room}", KEYS[key]));
        if let Some((process, _)) = self.process(at) {
            process.replica.release(holder, GRACE);
            self.after(at);
        }
    }

    /// A user who was lost connects anywhere.
    pub(super) fn come_back(&mut self, at: usize) {
        let lost = |session: &Session| matches!(session.place, Place::Lost { .. });
        let Some(picked) = self.sessions.iter().position(lost) else {
            return;
        };
        let session = &self.sessions[picked];
        let (room, key) = (session.room, session.key);
        let kept = self.is_kept(session);
        let meta = match self.random.chance(60) {
            true => session.meta,
            false => self.random.next() % 3,
        };
        if let Some(place) = self.track(at, room, key, meta) {
            self.note(|| format!("n{at}: {} is back in {room}", KEYS[key]));
            let now = self.now;
            if let Some(end) = self.first_end(room, key) {
                self.shorten(room, key, end);
            }
            let session = &mut self.sessions[picked];
            session.place = place;
            session.meta = meta;
            if !kept {
                session.since = now;
            }
        }
    }

    /// A client joins.
    pub(super) fn watch(&mut self, at: usize) -> Result<(), String> {
        let room = self.random.below(ROOMS.len());
        let Some((process, _)) = self.process(at) else {
            return Ok(());
        };
        let state = process.replica.state(&Self::room(room));
        if self.broken == Some(Broken::StaleState) {
            self.pass(Duration::from_millis(300))?;
        }
        let Some((process, _)) = self.process(at) else {
            return Ok(());
        };
        if process.clients.len() > 3 {
            process.clients.remove(0);
        }
        process.clients.push(Client {
            room,
            strict: StrictClient::new(&state),
            stock: [true, false].map(|keeps| StockClient::new(&state, keeps)),
        });
        self.note(|| format!("n{at}: a client of {room}"));
        Ok(())
    }

    /// Another than the owner tells of an entry.
    pub(super) fn forge(&mut self, at: usize) {
        let Some(process) = self.running(at) else {
            return;
        };
        if self.broken != Some(Broken::Forged) {
            return;
        }
        let (inc, (version, _)) = (process.inc, process.replica.own_hash());
        let put = Put {
            number: 1_000_000,
            room: Self::room(0),
            own: MetaRef {
                inc: 99,
                number: 99,
            },
            what: Some((Key::new(KEYS[0]).unwrap(), Self::text(0))),
            replaces: None,
            linger: None,
        };
        let forged = Message::Delta {
            inc,
            from: version + 1,
            ops: vec![Op::Put(put)],
        };
        self.send(at, inc, None, &forged.encode());
    }

    pub(super) fn set_cut(&mut self, at: usize, cut: bool, noticed: bool) {
        let changed = self.nodes[at].cut != cut;
        self.nodes[at].cut = cut;
        self.seen.cuts += u64::from(changed && cut);
        if changed {
            self.note(|| format!("n{at}: cut {cut}, noticed {noticed}"));
        }
        let now = self.now + self.nodes[at].ahead;
        if let Some(process) = &mut self.nodes[at].process
            && (noticed || !cut)
        {
            process.replica.set_connected(!cut, now);
        }
    }

    pub(super) fn kill_or_start(&mut self, at: usize) {
        let Some(process) = self.nodes[at].process.take() else {
            self.note(|| format!("n{at}: starts"));
            self.start(at);
            return;
        };
        self.seen.kills += 1;
        let inc = process.inc;
        let drains = self.random.chance(30);
        self.note(|| format!("n{at}: ends, drains {drains}"));
        if drains {
            self.drain(at, process);
        }
        if let Some(beat) = self.last_beats.get(&inc) {
            let name = self.nodes[at].name.clone();
            self.dead.push((SimAddress { name, inc }, beat.clone()));
        }
        let until = self.now + GRACE;
        for session in &mut self.sessions {
            if matches!(session.place, Place::At { inc: there, .. } if there == inc) {
                session.place = Place::Lost { until };
            }
        }
        let restarts = self.random.chance(50);
        if restarts {
            self.start(at);
        }
    }

    /// A node ends in order.
    pub(super) fn drain(&mut self, at: usize, mut process: Process) {
        for session in &self.sessions {
            if let Place::At { inc, holder } = session.place
                && inc == process.inc
            {
                process.replica.release(holder, GRACE);
            }
        }
        process.replica.leave();
        self.nodes[at].process = Some(process);
        self.after(at);
        self.nodes[at].process = None;
    }

    pub(super) fn stop_or_step(&mut self, at: usize) {
        let (stop, long) = (self.random.chance(50), self.random.millis(500, 25_000));
        if stop {
            let until = self.now + long;
            if let Some(process) = &mut self.nodes[at].process {
                process.paused_until = until;
                self.note(|| format!("n{at}: stopped for {long:?}"));
            }
        } else {
            self.nodes[at].ahead += long;
            self.note(|| format!("n{at}: its clock jumps {long:?}"));
        }
    }
}
