use std::collections::VecDeque;

use super::Queued;

/// The capacity that an empty queue keeps; more is given back.
const ROOM: usize = 64;

/// The waiting items, in order. A single item, as on a connection that keeps up, takes no memory
/// besides its own place.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// `None` only if the whole queue is empty.
    first: Option<Queued>,
    rest: VecDeque<Queued>,
}

impl Queue {
    pub(super) fn push_back(&mut self, queued: Queued) {
        match self.first {
            None => self.first = Some(queued),
            Some(_) => self.rest.push_back(queued),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Queued> {
        let queued = std::mem::replace(&mut self.first, self.rest.pop_front());
        if self.rest.is_empty() && self.rest.capacity() > ROOM {
            self.rest.shrink_to(0);
        }
        queued
    }

    pub(super) fn front(&self) -> Option<&Queued> {
        self.first.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.first.iter().chain(&self.rest)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Queued> {
        self.first.iter_mut().chain(&mut self.rest)
    }

    /// Removes the item at this position.
    pub(super) fn remove(&mut self, at: usize) -> Option<Queued> {
        match at.checked_sub(1) {
            None => self.pop_front(),
            Some(at) => self.rest.remove(at),
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Queued) -> bool) {
        let first = self.first.take().filter(&mut keep);
        self.rest.retain(keep);
        self.first = first.or_else(|| self.rest.pop_front());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{connection::ChannelId, protocol::Topic};

    fn queued(id: u64) -> Queued {
        Queued::Ended(Topic::from("a"), ChannelId(id))
    }

    fn ids(queue: &Queue) -> Vec<u64> {
        let id = |queued: &Queued| match queued {
            Queued::Ended(_, ChannelId(id)) => *id,
            _ => 0,
        };
        queue.iter().map(id).collect()
    }

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut queue = Queue::default();
        (1..=4).for_each(|id| queue.push_back(queued(id)));
        assert_eq!(queue.pop_front().map(|_| ids(&queue)), Some(vec![2, 3, 4]));
        queue.push_back(queued(5));
        assert!(queue.remove(0).is_some() && queue.remove(1).is_some());
        assert_eq!(ids(&queue), [3, 5]);
        assert!(queue.remove(2).is_none());
        while queue.pop_front().is_some() {}
        assert!(queue.is_empty() && queue.front().is_none());
    }

    #[test]
    fn what_is_kept_keeps_its_order() {
        let is_odd = |queued: &Queued| matches!(queued, Queued::Ended(_, ChannelId(1 | 3)));
        let mut queue = Queue::default();
        (0..=3).for_each(|id| queue.push_back(queued(id)));
        queue.retain(is_odd);
        assert_eq!(ids(&queue), [1, 3]);
        queue.retain(|_| false);
        assert!(queue.is_empty());
    }
}
