use std::{
    collections::HashMap,
    fmt,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use indexmap::IndexMap;
use parking_lot::RwLock;

use super::{Broadcast, Encodings, SubscriberId};
use crate::Topic;

/// Locks of the topic map, so that joins on one topic do not wait for broadcasts on another.
const SHARDS: usize = 64;

/// What a topic delivers to.
///
/// Called under the topic's lock: it must not block and must not call PubSub.
pub(crate) trait Subscriber: Send + Sync {
    fn deliver(&self, broadcast: &Broadcast, encodings: &mut Encodings);
}

/// A subscriber that is a function.
pub(crate) struct Relay<F>(F);

impl<F: Fn(&Broadcast) + Send + Sync> Relay<F> {
    pub(crate) fn new(deliver: F) -> Self {
        Relay(deliver)
    }
}

impl<F: Fn(&Broadcast) + Send + Sync> Subscriber for Relay<F> {
    fn deliver(&self, broadcast: &Broadcast, _: &mut Encodings) {
        (self.0)(broadcast);
    }
}

type Subscribers = IndexMap<SubscriberId, Arc<dyn Subscriber>>;
type Shard = RwLock<HashMap<Topic, Subscribers>>;

/// The topics of this process and their subscribers. Mirrors `Phoenix.PubSub`.
pub(crate) struct PubSub {
    shards: Box<[Shard]>,
    hasher: std::hash::RandomState,
    next_id: AtomicU64,
}

impl PubSub {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(PubSub {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: std::hash::RandomState::new(),
            next_id: AtomicU64::new(1),
        })
    }

    fn shard(&self, topic: &Topic) -> &Shard {
        // The remainder is less than SHARDS, so it fits a usize on every target.
        &self.shards[(self.hasher.hash_one(topic.as_str()) % SHARDS as u64) as usize]
    }

    /// A name for a new subscriber.
    pub(crate) fn new_id(&self) -> SubscriberId {
        SubscriberId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Subscribes until the guard is dropped.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        topic: Topic,
        id: SubscriberId,
        subscriber: Arc<dyn Subscriber>,
    ) -> Subscription {
        self.subscribe_then(topic, id, subscriber, || ())
    }

    /// Subscribes, and runs `first` before any broadcast can reach the subscriber: what `first`
    /// queues comes before what the topic delivers, and nothing sent after it is missed.
    pub(crate) fn subscribe_then(
        self: &Arc<Self>,
        topic: Topic,
        id: SubscriberId,
        subscriber: Arc<dyn Subscriber>,
        first: impl FnOnce(),
    ) -> Subscription {
        let mut shard = self.shard(&topic).write();
        shard
            .entry(topic.clone())
            .or_default()
            .insert(id, subscriber);
        first();
        drop(shard);
        Subscription {
            pubsub: self.clone(),
            topic,
            id,
        }
    }

    /// Delivers to the subscribers of this process, but not to `from`.
    pub(crate) fn deliver(&self, from: Option<SubscriberId>, broadcast: &Broadcast) {
        let shard = self.shard(broadcast.topic()).read();
        let Some(subscribers) = shard.get(broadcast.topic()) else {
            return;
        };
        let mut encodings = Encodings::default();
        for (id, subscriber) in subscribers {
            if Some(*id) != from {
                subscriber.deliver(broadcast, &mut encodings);
            }
        }
    }

    fn unsubscribe(&self, topic: &Topic, id: SubscriberId) {
        let mut shard = self.shard(topic).write();
        let Some(subscribers) = shard.get_mut(topic) else {
            return;
        };
        let gone = subscribers.swap_remove(&id);
        if subscribers.is_empty() {
            shard.remove(topic);
        }
        drop(shard);
        // Dropped last: a subscriber's own drop must not run under the lock.
        drop(gone);
    }

    /// How many subscribers a topic has.
    pub(crate) fn count(&self, topic: &Topic) -> usize {
        self.shard(topic).read().get(topic).map_or(0, IndexMap::len)
    }
}

/// A subscription; dropping it ends it.
pub(crate) struct Subscription {
    pubsub: Arc<PubSub>,
    topic: Topic,
    id: SubscriberId,
}

impl Subscription {
    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.pubsub.unsubscribe(&self.topic, self.id);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.topic).finish()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::Payload;

    fn recorder() -> (Arc<Mutex<Vec<String>>>, Arc<dyn Subscriber>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let relay = Relay::new(move |b: &Broadcast| log.lock().push(b.event().to_owned()));
        (heard, Arc::new(relay))
    }

    fn event(topic: &str, name: &str) -> Broadcast {
        Broadcast::new(topic, name, Payload::empty())
    }

    #[test]
    fn a_broadcast_reaches_its_topic_but_not_its_sender() {
        let pubsub = PubSub::new();
        let (one, two) = (pubsub.new_id(), pubsub.new_id());
        let ((heard_one, sub_one), (heard_two, sub_two)) = (recorder(), recorder());
        let _one = pubsub.subscribe("a".into(), one, sub_one);
        let _two = pubsub.subscribe("a".into(), two, sub_two);
        pubsub.deliver(None, &event("a", "all"));
        pubsub.deliver(Some(one), &event("a", "others"));
        pubsub.deliver(None, &event("b", "elsewhere"));
        assert_eq!(*heard_one.lock(), ["all"]);
        assert_eq!(*heard_two.lock(), ["all", "others"]);
    }

    #[test]
    fn a_topic_without_subscribers_is_forgotten() {
        let pubsub = PubSub::new();
        let (_, subscriber) = recorder();
        let subscription = pubsub.subscribe("a".into(), pubsub.new_id(), subscriber);
        assert_eq!(pubsub.count(&"a".into()), 1);
        drop(subscription);
        assert_eq!(pubsub.count(&"a".into()), 0);
        assert!(pubsub.shards.iter().all(|shard| shard.read().is_empty()));
    }
}
