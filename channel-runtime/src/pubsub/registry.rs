use std::{
    any::Any,
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use indexmap::IndexMap;
use parking_lot::RwLock;

use super::{Encodings, SubscriberId, telemetry};
use crate::protocol::{Broadcast, Topic};

/// Locks of the topic map, so that joins on one topic do not wait for broadcasts on another.
const SHARDS: usize = 64;

/// A receiver of a topic's broadcasts.
///
/// Called under the topic's lock: it must not block and must not call the registry.
pub(crate) trait Subscriber: Send + Sync {
    fn deliver(&self, broadcast: &Broadcast, encodings: &mut Encodings);

    /// Gives the subscriber itself, where it is one that others may look for.
    fn into_any(self: Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
}

/// A subscriber that is a function.
pub(crate) struct FnSubscriber<F>(F);

impl<F: Fn(&Broadcast) + Send + Sync> FnSubscriber<F> {
    pub(crate) fn new(deliver: F) -> Self {
        FnSubscriber(deliver)
    }
}

impl<F: Fn(&Broadcast) + Send + Sync> Subscriber for FnSubscriber<F> {
    fn deliver(&self, broadcast: &Broadcast, _: &mut Encodings) {
        (self.0)(broadcast);
    }
}

/// The subscribers of one topic, in no particular order. Most topics have one, which needs no
/// table.
enum Subscribers {
    One(SubscriberId, Arc<dyn Subscriber>),
    Many(Box<IndexMap<SubscriberId, Arc<dyn Subscriber>>>),
}

impl Subscribers {
    fn insert(&mut self, id: SubscriberId, subscriber: Arc<dyn Subscriber>) {
        match self {
            Subscribers::One(only, _) if *only == id => {
                *self = Subscribers::One(id, subscriber);
            }
            Subscribers::One(only, first) => {
                let both = [(*only, first.clone()), (id, subscriber)];
                *self = Subscribers::Many(Box::new(both.into()));
            }
            Subscribers::Many(all) => {
                all.insert(id, subscriber);
            }
        }
    }

    /// Removes one of several subscribers; the last one stays.
    fn remove(&mut self, id: SubscriberId) -> Option<Arc<dyn Subscriber>> {
        match self {
            Subscribers::One(..) => None,
            Subscribers::Many(all) => all.swap_remove(&id),
        }
    }

    fn is_only(&self, id: SubscriberId) -> bool {
        match self {
            Subscribers::One(only, _) => *only == id,
            Subscribers::Many(all) => all.len() == 1 && all.contains_key(&id),
        }
    }

    fn len(&self) -> usize {
        match self {
            Subscribers::One(..) => 1,
            Subscribers::Many(all) => all.len(),
        }
    }

    fn for_each(&self, mut each: impl FnMut(SubscriberId, &Arc<dyn Subscriber>)) {
        match self {
            Subscribers::One(id, subscriber) => each(*id, subscriber),
            Subscribers::Many(all) => all.iter().for_each(|(id, one)| each(*id, one)),
        }
    }
}

type Shard = RwLock<HashMap<Topic, Subscribers>>;

/// Runs a delivery to many subscribers, and its follow-up once the topic's lock is released.
pub(crate) type Batch = fn(&mut dyn FnMut());

/// The topics of this process and their subscribers. Mirrors the registry of `Phoenix.PubSub`.
pub(crate) struct Registry {
    shards: Box<[Shard]>,
    hasher: std::hash::RandomState,
    next_id: AtomicU64,
    batch: Batch,
}

impl Registry {
    pub(crate) fn new(batch: Batch) -> Self {
        Registry {
            batch,
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: std::hash::RandomState::new(),
            next_id: AtomicU64::new(1),
        }
    }

    fn shard(&self, topic: &Topic) -> &Shard {
        // The remainder is less than SHARDS, so it fits a usize on every target.
        &self.shards[(self.hasher.hash_one(topic.as_str()) % SHARDS as u64) as usize]
    }

    /// Returns the id of a new subscriber.
    pub(crate) fn new_id(&self) -> SubscriberId {
        SubscriberId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Subscribes, and runs `first` before any broadcast can reach the subscriber. Messages that
    /// `first` queues precede those the topic delivers, and no later broadcast is missed.
    pub(crate) fn subscribe_then(
        &self,
        topic: Topic,
        id: SubscriberId,
        subscriber: Arc<dyn Subscriber>,
        first: impl FnOnce(),
    ) {
        let mut shard = self.shard(&topic).write();
        let is_new = match shard.entry(topic) {
            Entry::Occupied(mut taken) => {
                taken.get_mut().insert(id, subscriber);
                false
            }
            Entry::Vacant(free) => {
                free.insert(Subscribers::One(id, subscriber));
                true
            }
        };
        first();
        drop(shard);
        if is_new {
            telemetry::topic_begun();
        }
    }

    /// Delivers to the subscribers of this process, except `from`.
    pub(crate) fn deliver(&self, from: Option<SubscriberId>, broadcast: &Broadcast) {
        // Frames that can be written at once are written after the lock is released.
        (self.batch)(&mut || {
            let shard = self.shard(broadcast.topic()).read();
            let Some(subscribers) = shard.get(broadcast.topic()) else {
                return;
            };
            let mut encodings = Encodings::default();
            subscribers.for_each(|id, subscriber| {
                if Some(id) != from {
                    subscriber.deliver(broadcast, &mut encodings);
                }
            });
        });
    }

    /// Makes a broadcast under the topic's lock, and delivers it to the subscribers of this process.
    /// No subscription falls between the two, so `make` may take note of what they were told.
    #[cfg(feature = "presence")]
    pub(crate) fn deliver_then(&self, topic: &Topic, make: impl FnOnce() -> Option<Broadcast>) {
        let mut make = Some(make);
        (self.batch)(&mut || {
            let shard = self.shard(topic).write();
            let broadcast = make.take().and_then(|make| make());
            let (Some(broadcast), Some(subscribers)) = (broadcast, shard.get(topic)) else {
                return;
            };
            let mut encodings = Encodings::default();
            subscribers.for_each(|_, subscriber| subscriber.deliver(&broadcast, &mut encodings));
        });
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&self, topic: &Topic, id: SubscriberId) {
        let mut shard = self.shard(topic).write();
        let Some(subscribers) = shard.get_mut(topic) else {
            return;
        };
        // Dropped last: a subscriber's own drop must not run under the lock.
        let gone = if subscribers.is_only(id) {
            (shard.remove(topic), None)
        } else {
            (None, subscribers.remove(id))
        };
        drop(shard);
        if gone.0.is_some() {
            telemetry::topic_ended();
        }
        drop(gone);
    }

    /// Returns the subscribers of a topic.
    pub(crate) fn subscribers(&self, topic: &Topic) -> Vec<Arc<dyn Subscriber>> {
        let mut all = Vec::new();
        if let Some(subscribers) = self.shard(topic).read().get(topic) {
            subscribers.for_each(|_, subscriber| all.push(subscriber.clone()));
        }
        all
    }

    /// Returns the number of subscribers of a topic.
    pub(crate) fn count(&self, topic: &Topic) -> usize {
        self.shard(topic)
            .read()
            .get(topic)
            .map_or(0, Subscribers::len)
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::protocol::Payload;

    fn recorder() -> (Arc<Mutex<Vec<String>>>, Arc<dyn Subscriber>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let relay = FnSubscriber::new(move |b: &Broadcast| log.lock().push(b.event().to_owned()));
        (heard, Arc::new(relay))
    }

    fn event(topic: &str, name: &str) -> Broadcast {
        Broadcast::new(topic, name, Payload::empty())
    }

    #[test]
    #[cfg(feature = "presence")]
    fn a_broadcast_that_is_made_under_the_lock_reaches_all_and_may_be_none() {
        let pubsub = Registry::new(|work| work());
        let (heard, subscriber) = recorder();
        pubsub.subscribe_then("a".into(), pubsub.new_id(), subscriber, || ());
        pubsub.deliver_then(&"a".into(), || Some(event("a", "made")));
        pubsub.deliver_then(&"a".into(), || None);
        let mut made = false;
        pubsub.deliver_then(&"b".into(), || {
            made = true;
            Some(event("b", "elsewhere"))
        });
        assert_eq!(*heard.lock(), ["made"]);
        assert!(made, "it is made where there is no subscriber, too");
    }

    #[test]
    fn a_broadcast_reaches_its_topic_but_not_its_sender() {
        let pubsub = Registry::new(|work| work());
        let (one, two) = (pubsub.new_id(), pubsub.new_id());
        let ((heard_one, sub_one), (heard_two, sub_two)) = (recorder(), recorder());
        pubsub.subscribe_then("a".into(), one, sub_one, || ());
        pubsub.subscribe_then("a".into(), two, sub_two, || ());
        pubsub.deliver(None, &event("a", "all"));
        pubsub.deliver(Some(one), &event("a", "others"));
        pubsub.deliver(None, &event("b", "elsewhere"));
        assert_eq!(*heard_one.lock(), ["all"]);
        assert_eq!(*heard_two.lock(), ["all", "others"]);
    }

    #[test]
    fn a_topic_without_subscribers_is_forgotten() {
        let pubsub = Registry::new(|work| work());
        let (_, subscriber) = recorder();
        let id = pubsub.new_id();
        pubsub.subscribe_then("a".into(), id, subscriber, || ());
        assert_eq!(pubsub.count(&"a".into()), 1);
        pubsub.unsubscribe(&"a".into(), id);
        assert_eq!(pubsub.count(&"a".into()), 0);
        assert!(pubsub.shards.iter().all(|shard| shard.read().is_empty()));
    }
}
