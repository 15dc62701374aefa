//! Invariants that hold after every step.

use std::{collections::BTreeSet, time::Duration};

use super::{Broken, GHOST, KEYS, Node, Place, Process, ROOMS, SETTLED, Session, World};
use crate::presence::{client::StrictClient, meta::MetaRef};

impl World {
    /// P5: a key whose user is there stays.
    pub(super) fn check_emptied(
        &self,
        inc: u64,
        emptied: &[(usize, String)],
    ) -> Result<(), String> {
        for (room, key) in emptied {
            let of_key = |session: &&Session| session.room == *room && KEYS[session.key] == key;
            for session in self.sessions.iter().filter(of_key) {
                let here = matches!(session.place, Place::At { inc: at, .. } if at == inc);
                let settled = session.since + SETTLED <= self.now;
                if here || (self.calm && settled && self.is_kept(session)) {
                    return Err(format!("P5: the key {key:?} of {room} is emptied at {inc}"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_kept(&self, session: &Session) -> bool {
        match session.place {
            Place::At { .. } => true,
            Place::Lost { until } => until > self.now + Duration::from_secs(2),
        }
    }

    pub(super) fn check(&mut self, step: Duration) -> Result<(), String> {
        for process in self
            .nodes
            .iter_mut()
            .filter_map(|node| node.process.as_mut())
        {
            if std::mem::take(&mut process.touched) {
                check_views(process)?;
            }
        }
        let listed = self.listed();
        let owners_out_of_reach: BTreeSet<u64> = self.out_of_reach();
        let now = self.now;
        for node in &self.nodes {
            let Some(process) = node.process.as_ref().filter(|one| one.paused_until <= now) else {
                continue;
            };
            self.check_history(process)?;
            let reachable = !node.cut;
            let shown: BTreeSet<MetaRef> = refs(process);
            for own in &shown {
                let place = (process.inc, *own);
                match listed.contains(own) {
                    true => drop(self.ghosts.remove(&place)),
                    // A gap that is never closed leaves ghosts as well: that is not what is looked for.
                    false if self.broken == Some(Broken::NoPulls) => {}
                    false if reachable && !owners_out_of_reach.contains(&own.inc) => {
                        let time = self.ghosts.entry(place).or_default();
                        *time += step;
                        if *time > GHOST {
                            return Err(format!("P3: {} still shows {own}", node.name));
                        }
                    }
                    false => {}
                }
            }
            let inc = process.inc;
            self.ghosts
                .retain(|(at, own), _| *at != inc || shown.contains(own));
        }
        Ok(())
    }

    /// Nodes that are alive and cannot be heard.
    pub(super) fn out_of_reach(&self) -> BTreeSet<u64> {
        let away = |node: &&Node| {
            let process = node.process.as_ref();
            node.cut || process.is_some_and(|one| one.paused_until > self.now)
        };
        let away = self.nodes.iter().filter(away);
        away.filter_map(|node| Some(node.process.as_ref()?.inc))
            .collect()
    }

    /// The metas that living nodes list.
    pub(super) fn listed(&self) -> BTreeSet<MetaRef> {
        let living = self.nodes.iter().filter_map(|node| node.process.as_ref());
        living
            .flat_map(|process| process.replica.own_refs())
            .collect()
    }

    /// P4: what a node has of another is what that one has written.
    pub(super) fn check_history(&self, process: &Process) -> Result<(), String> {
        let counts = process.replica.counts();
        if counts.faults + counts.garbage + counts.unknown_ops > 0 {
            return Err(format!("P4: {counts:?} at {}", process.inc));
        }
        for (inc, version, hash) in process.replica.followed() {
            let written = self.history.get(&inc).and_then(|all| all.get(&version));
            if written.is_some_and(|written| *written != hash) {
                return Err(format!("P4: {} has changed what {inc} wrote", process.inc));
            }
        }
        Ok(())
    }

    /// P2: all nodes show what all of them hold.
    pub(super) fn check_agreement(&self) -> Result<(), String> {
        let mut truth = BTreeSet::new();
        for node in &self.nodes {
            let Some(process) = &node.process else {
                continue;
            };
            for (room, key, own, lingers) in process.replica.own_entries() {
                if lingers {
                    return Err(format!("P2: {key:?} lingers at rest in {room:?}"));
                }
                truth.insert((room, key, own));
            }
        }
        for session in &self.sessions {
            self.check_session(session)?;
        }
        for node in &self.nodes {
            let Some(process) = &node.process else {
                continue;
            };
            let mut shown = BTreeSet::new();
            for room in (0..ROOMS.len()).map(Self::room) {
                let view = process.replica.view(&room).into_iter();
                for (key, own, _) in view.flat_map(|view| view.list()) {
                    shown.insert((room.topic.to_string(), key.clone(), own));
                }
            }
            if shown != truth {
                return Err(format!("P2: {} shows {shown:?}, not {truth:?}", node.name));
            }
        }
        Ok(())
    }

    /// A session is listed where it is, with its meta.
    pub(super) fn check_session(&self, session: &Session) -> Result<(), String> {
        let Place::At { inc, holder } = session.place else {
            return Ok(());
        };
        let living = self.nodes.iter().filter_map(|node| node.process.as_ref());
        for process in living {
            let meta = Self::text(session.meta);
            if process.inc == inc && process.replica.meta(holder) != Some(&meta) {
                return Err(format!("P2: a session of {inc} has lost its entry"));
            }
            let key = KEYS[session.key];
            let view = process.replica.view(&Self::room(session.room));
            let mut metas = view.into_iter().flat_map(|view| view.get(key));
            if !metas.any(|(_, shown)| *shown == meta) {
                return Err(format!("P2: {key:?} is not shown by {}", process.inc));
            }
        }
        Ok(())
    }
}

fn refs(process: &Process) -> BTreeSet<MetaRef> {
    let rooms = process.replica.rooms();
    rooms
        .filter_map(|room| process.replica.view(room))
        .flat_map(|view| view.list().map(|(_, own, _)| own))
        .collect()
}

/// P1: each client sees what the node told it, and that is the view but for what is pending. The
/// view is what follows from the entries.
fn check_views(process: &Process) -> Result<(), String> {
    let mut shown = BTreeSet::new();
    for name in process.replica.rooms() {
        let view = process.replica.view(name).into_iter();
        for (key, own, _) in view.flat_map(|view| view.list()) {
            shown.insert((name.topic.to_string(), key.clone(), own));
        }
    }
    let recomputed: BTreeSet<_> = process.replica.recomputed().into_keys().collect();
    if shown != recomputed {
        return Err(format!("P1: the view is {shown:?}, not {recomputed:?}"));
    }
    for client in &process.clients {
        let sent = process.replica.sent(&World::room(client.room));
        if client.strict.refs() != StrictClient::new(&sent).refs() {
            return Err(format!("P1: a client of {} sees another list", process.inc));
        }
        let stock = client.stock.iter();
        if stock
            .into_iter()
            .any(|stock| stock.shown() != client.strict.shown())
        {
            return Err(format!("P1: a stock client of {} is wrong", process.inc));
        }
    }
    Ok(())
}
