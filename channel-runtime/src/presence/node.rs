//! The presences of a node with what they need: the topics that its clients hear diffs on, and the
//! messages that it exchanges with the other nodes.
//!
//! Locks are taken in one order: a topic's, then that of the presences. A diff is taken under both,
//! and so is the state that a new subscriber gets, so the two neither overlap nor leave a gap.

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{
    key::Key,
    message::RoomName,
    meta::{MetaRef, MetaText},
    replica::{Address, Holder, Limits, Output, Replica, Timing, TrackError},
};
use crate::{
    protocol::{Broadcast, Payload, Topic},
    pubsub::{NodeHandler, Peer, PubSub, Status},
    token::Token,
};

/// The mailbox of every node's presences.
const MAILBOX: &str = "presence";

/// The event of a diff.
const DIFF: &str = "presence_diff";

impl Address for Peer {
    fn name(&self) -> &str {
        &self.node
    }
}

/// The presences of this node.
pub(crate) struct PresenceNode {
    pubsub: Arc<PubSub>,
    replica: Mutex<Replica<Peer>>,
    /// Woken when something is due earlier than it was.
    wake: Arc<Notify>,
    started: Instant,
}

impl PresenceNode {
    /// Starts a node whose process is `inc`, a random number. It ends when it is dropped. Letters
    /// are sealed with the keys of `token`. Must be called within a Tokio runtime.
    pub(crate) fn start(inc: u64, pubsub: Arc<PubSub>, token: Token, timing: Timing) -> Arc<Self> {
        let node = Arc::new(PresenceNode {
            replica: Mutex::new(Replica::new(inc, timing, Duration::ZERO)),
            wake: Arc::default(),
            started: Instant::now(),
            pubsub,
        });
        let messages = Arc::new(Letters(Arc::downgrade(&node)));
        node.pubsub.open_mailbox(MAILBOX, token, messages);
        node.pubsub.join_group(MAILBOX);
        tokio::spawn(run(Arc::downgrade(&node), node.wake.clone()));
        node
    }

    /// Lists a key in a topic until the guard is dropped. An entry whose channel is gone is taken
    /// over, those first whose meta is the `same`.
    pub(crate) fn track(
        self: &Arc<Self>,
        room: &RoomName,
        key: &Key,
        meta: &MetaText,
        same: impl Fn(&MetaText) -> bool,
        limits: &Limits,
    ) -> Result<Tracked, TrackError> {
        let mut replica = self.replica.lock();
        let holder = replica.track(room, key, meta, same, limits)?;
        drop(replica);
        self.wake.notify_one();
        Ok(Tracked {
            node: self.clone(),
            holder,
        })
    }

    /// Returns what clients of a topic were told: the payload of `presence_state`. To be called under the
    /// topic's lock, as part of a subscription.
    pub(crate) fn state(&self, room: &RoomName) -> Payload {
        Payload::from_checked_json(self.replica.lock().state(room))
    }

    /// Returns every meta of a topic, of all nodes.
    pub(crate) fn list(&self, room: &RoomName) -> Vec<(Key, MetaRef, MetaText)> {
        let replica = self.replica.lock();
        let metas = replica.view(room).into_iter().flat_map(|view| view.list());
        metas
            .map(|(key, own, meta)| (key.clone(), own, meta.clone()))
            .collect()
    }

    /// Returns the metas of one key, of all nodes.
    pub(crate) fn get(&self, room: &RoomName, key: &str) -> Vec<(MetaRef, MetaText)> {
        let replica = self.replica.lock();
        let metas = replica
            .view(room)
            .into_iter()
            .flat_map(|view| view.get(key));
        metas.map(|(own, meta)| (own, meta.clone())).collect()
    }

    /// Returns the number of keys in a topic, of all nodes.
    pub(crate) fn count(&self, room: &RoomName) -> usize {
        self.replica
            .lock()
            .view(room)
            .map_or(0, |view| view.count())
    }

    /// Tells the others that this node ends. Its channels have been released, each with its grace,
    /// so that their clients are taken over silently where they go.
    pub(crate) fn leave(&self) {
        let mut replica = self.replica.lock();
        replica.leave();
        let outputs = replica.take_outputs();
        drop(replica);
        self.send(outputs);
    }

    /// Does what is due, and returns how long nothing is.
    fn work(&self) -> Duration {
        let now = self.started.elapsed();
        let up = !matches!(self.pubsub.health().status, Status::Down { .. });
        let mut replica = self.replica.lock();
        replica.set_connected(up, now);
        replica.tick(now);
        let outputs = replica.take_outputs();
        let (due, next) = replica.due(now);
        let idle = replica.idle();
        drop(replica);
        self.send(outputs);
        for room in due {
            self.show(&room, now);
        }
        next.map_or(idle, |next| idle.min(next.saturating_sub(now)))
    }

    /// Tells the clients of a topic what has changed.
    fn show(&self, room: &RoomName, now: Duration) {
        let topic = Topic::from(room.topic.as_str());
        self.pubsub.deliver_then(&topic, || {
            let diff = self.replica.lock().take_diff(room, now)?;
            let payload = Payload::from_checked_json(diff.text().into());
            Some(Broadcast::new(topic.clone(), DIFF, payload))
        });
    }

    /// A message is under way when it is handed over. One that gets lost is asked for.
    fn send(&self, outputs: Vec<Output<Peer>>) {
        for output in outputs {
            drop(match output {
                Output::All(message) => self.pubsub.send_to_all(MAILBOX, &message),
                Output::To(to, message) => self.pubsub.send_to(&to, MAILBOX, &message),
            });
        }
    }

    fn receive(&self, from: &Peer, message: &[u8]) {
        let now = self.started.elapsed();
        self.replica.lock().receive(from, message, now);
        self.wake.notify_one();
    }
}

/// Works for a node as long as there is one.
async fn run(node: Weak<PresenceNode>, wake: Arc<Notify>) {
    while let Some(idle) = node.upgrade().map(|node| node.work()) {
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(idle) => {}
        }
    }
}

/// Takes the messages of other nodes, and keeps nothing alive.
struct Letters(Weak<PresenceNode>);

impl NodeHandler for Letters {
    fn receive(&self, from: &Peer, message: Bytes) {
        if let Some(node) = self.0.upgrade() {
            node.receive(from, &message);
        }
    }

    /// A process that ran here before is asked for what it took with it.
    fn misdirected(&self, _: &Peer, _: Bytes) {}
}

/// A key that is listed until this is dropped.
pub(crate) struct Tracked {
    node: Arc<PresenceNode>,
    holder: Holder,
}

impl Tracked {
    /// Replaces the meta; nothing happens where it is equal.
    pub(crate) fn update(&self, meta: &MetaText, limits: &Limits) -> Result<(), TrackError> {
        self.node.replica.lock().update(self.holder, meta, limits)?;
        self.node.wake.notify_one();
        Ok(())
    }

    /// Returns the meta that the key is listed with.
    pub(crate) fn meta(&self) -> Option<MetaText> {
        self.node.replica.lock().meta(self.holder).cloned()
    }

    /// Ends as dropping does, but the key stays for a while: a tracking of it within the grace, on
    /// any node, takes it over.
    pub(crate) fn linger(self, grace: Duration) {
        self.release(grace);
    }

    fn release(&self, grace: Duration) {
        self.node.replica.lock().release(self.holder, grace);
        self.node.wake.notify_one();
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // Nothing is left of one that lingers.
        self.release(Duration::ZERO);
    }
}
