use std::collections::{HashMap, hash_map::Entry};

use parking_lot::Mutex;

use crate::{protocol::Topic, pubsub::Adapter};

/// The number of subscribers that each topic has on this node, so that the adapter is called for
/// the first and the last only.
#[derive(Default)]
pub(super) struct TopicRefCounts(Mutex<HashMap<Topic, usize>>);

impl TopicRefCounts {
    /// Adds a subscriber. The adapter is called under the lock, so that its calls for a topic stay
    /// in order.
    pub(super) fn acquire(&self, topic: &Topic, adapter: &dyn Adapter) {
        let mut topics = self.0.lock();
        match topics.entry(topic.clone()) {
            Entry::Occupied(mut count) => *count.get_mut() += 1,
            Entry::Vacant(first) => {
                first.insert(1);
                adapter.subscribe(topic);
            }
        }
    }

    /// Removes a subscriber.
    pub(super) fn release(&self, topic: &Topic, adapter: &dyn Adapter) {
        let mut topics = self.0.lock();
        let Some(count) = topics.get_mut(topic) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            topics.remove(topic);
            adapter.unsubscribe(topic);
        }
    }

    pub(super) fn topics(&self) -> usize {
        self.0.lock().len()
    }
}
