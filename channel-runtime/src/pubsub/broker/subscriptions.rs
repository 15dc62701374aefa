use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

/// The maximum number of channels in one command.
const BATCH: usize = 512;

/// The engine channels that this node needs, and those that it has.
///
/// Channels are counted, since two topics may share one. An unused channel is kept for a while, so
/// that leaving and joining again costs nothing. While the engine is unreachable no channel is
/// subscribed, so none is kept: an outage may be long, and clients come and go.
pub(super) struct SubscriptionTable {
    channels: HashMap<Arc<str>, Channel>,
    /// The channels to subscribe.
    fresh: Vec<Arc<str>>,
    /// The channels without a subscriber, and until when each is kept. Some may be needed again by
    /// then.
    idle: VecDeque<(Instant, Arc<str>)>,
    unsubscribe_delay: Duration,
    up: bool,
}

#[derive(Default)]
struct Channel {
    count: usize,
    confirmed: bool,
    idle_since: Option<Instant>,
    waiters: Vec<oneshot::Sender<()>>,
}

impl SubscriptionTable {
    pub(super) fn new(unsubscribe_delay: Duration) -> Self {
        SubscriptionTable {
            channels: HashMap::new(),
            fresh: Vec::new(),
            idle: VecDeque::new(),
            unsubscribe_delay,
            up: false,
        }
    }

    /// Adds a subscriber; returns true if there is something to subscribe.
    pub(super) fn subscribe(&mut self, channel: Arc<str>) -> bool {
        let known = self.channels.contains_key(&channel);
        let entry = self.channels.entry(channel.clone()).or_default();
        entry.count += 1;
        entry.idle_since = None;
        let is_fresh = self.up && !known;
        if is_fresh {
            self.fresh.push(channel);
        }
        is_fresh
    }

    /// Removes a subscriber; returns true if [`SubscriptionTable::next_idle`] has changed.
    pub(super) fn unsubscribe(&mut self, channel: &Arc<str>, now: Instant) -> bool {
        let Some(entry) = self.channels.get_mut(channel) else {
            return false;
        };
        entry.count = entry.count.saturating_sub(1);
        if entry.count > 0 {
            return false;
        }
        if !self.up {
            self.channels.remove(channel);
            return false;
        }
        entry.idle_since = Some(now);
        self.idle
            .push_back((now + self.unsubscribe_delay, channel.clone()));
        self.idle.len() == 1
    }

    /// Returns a receiver that is ready when the engine has confirmed the channel, or is
    /// unreachable. `None` if either is already so.
    pub(super) fn waiter(&mut self, channel: &str) -> Option<oneshot::Receiver<()>> {
        let entry = self.channels.get_mut(channel).filter(|_| self.up)?;
        if entry.confirmed {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        entry.waiters.retain(|waiter| !waiter.is_closed());
        entry.waiters.push(sender);
        Some(receiver)
    }

    /// Removes and returns the next channels to subscribe.
    pub(super) fn take_fresh(&mut self) -> Vec<Arc<str>> {
        let rest = self.fresh.len().saturating_sub(BATCH);
        self.fresh.split_off(rest)
    }

    /// Records that the engine has confirmed these channels.
    pub(super) fn confirmed(&mut self, channels: &[Arc<str>]) {
        for channel in channels {
            if let Some(entry) = self.channels.get_mut(channel) {
                entry.confirmed = true;
                for waiter in entry.waiters.drain(..) {
                    // The waiter may be gone.
                    let _gone = waiter.send(());
                }
            }
        }
    }

    /// Removes and returns the channels that have been idle for long enough.
    pub(super) fn take_idle(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut over = Vec::new();
        while over.len() < BATCH
            && let Some((until, _)) = self.idle.front()
            && *until <= now
            && let Some((until, channel)) = self.idle.pop_front()
        {
            let entry = self.channels.get(&channel);
            // A channel that was needed in between is idle since another time, or not at all.
            let since = entry.and_then(|entry| entry.idle_since);
            if since.is_some_and(|since| since + self.unsubscribe_delay == until) {
                self.channels.remove(&channel);
                over.push(channel);
            }
        }
        over
    }

    /// Returns when [`SubscriptionTable::take_idle`] has its next channel.
    pub(super) fn next_idle(&self) -> Option<Instant> {
        self.idle.front().map(|(until, _)| *until)
    }

    /// Starts a new connection: every channel must be subscribed to again.
    pub(super) fn connected(&mut self) {
        self.up = true;
        self.fresh = self.channels.keys().cloned().collect();
    }

    /// Ends the connection: no channel is subscribed, and all waiters are released.
    pub(super) fn disconnected(&mut self) {
        self.up = false;
        self.fresh = Vec::new();
        self.idle = VecDeque::new();
        self.channels.retain(|_, channel| channel.count > 0);
        for entry in self.channels.values_mut() {
            entry.confirmed = false;
            entry.waiters.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_secs(1);

    fn connected() -> SubscriptionTable {
        let mut subscriptions = SubscriptionTable::new(LINGER);
        subscriptions.connected();
        subscriptions
    }

    fn names(channels: &[Arc<str>]) -> Vec<&str> {
        let mut names: Vec<_> = channels.iter().map(|channel| &**channel).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_channel_is_subscribed_once_and_unsubscribed_after_the_last() {
        let (mut subscriptions, now) = (connected(), Instant::now());
        let a: Arc<str> = "a".into();
        assert!(subscriptions.subscribe(a.clone()));
        assert!(!subscriptions.subscribe(a.clone()));
        assert_eq!(names(&subscriptions.take_fresh()), ["a"]);
        assert!(subscriptions.take_fresh().is_empty());
        assert!(!subscriptions.unsubscribe(&a, now));
        assert!(subscriptions.unsubscribe(&a, now));
        assert!(subscriptions.take_idle(now).is_empty());
        assert_eq!(subscriptions.next_idle(), Some(now + LINGER));
        assert_eq!(names(&subscriptions.take_idle(now + LINGER)), ["a"]);
        assert!(subscriptions.subscribe(a));
    }

    #[test]
    fn leaving_and_joining_again_costs_nothing() {
        let (mut subscriptions, now) = (connected(), Instant::now());
        let a: Arc<str> = "a".into();
        subscriptions.subscribe(a.clone());
        let asked = subscriptions.take_fresh();
        subscriptions.confirmed(&asked);
        subscriptions.unsubscribe(&a, now);
        assert!(!subscriptions.subscribe(a.clone()));
        assert!(subscriptions.waiter("a").is_none());
        subscriptions.unsubscribe(&a, now + LINGER / 2);
        assert!(subscriptions.take_idle(now + LINGER).is_empty());
        assert_eq!(names(&subscriptions.take_idle(now + LINGER * 2)), ["a"]);
        assert!(subscriptions.take_fresh().is_empty());
    }

    #[test]
    fn who_waits_hears_of_the_confirmation_and_of_the_end() {
        let mut subscriptions = connected();
        subscriptions.subscribe("a".into());
        subscriptions.subscribe("b".into());
        let mut a = subscriptions.waiter("a").unwrap();
        let mut b = subscriptions.waiter("b").unwrap();
        subscriptions.confirmed(&["a".into()]);
        assert_eq!(a.try_recv(), Ok(()));
        assert_eq!(b.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        subscriptions.disconnected();
        assert_eq!(b.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(
            subscriptions.waiter("b").is_none(),
            "out of reach: no waiting"
        );
    }

    #[test]
    fn a_new_connection_subscribes_what_is_wanted_and_no_more() {
        let (mut subscriptions, now) = (connected(), Instant::now());
        let b: Arc<str> = "b".into();
        subscriptions.subscribe("a".into());
        subscriptions.subscribe(b.clone());
        subscriptions.unsubscribe(&b, now);
        subscriptions.disconnected();
        subscriptions.connected();
        assert_eq!(names(&subscriptions.take_fresh()), ["a"]);
        assert!(subscriptions.waiter("a").is_some());
        assert!(subscriptions.take_idle(now + LINGER).is_empty());
    }

    #[test]
    fn while_the_engine_is_away_nothing_is_kept_of_who_comes_and_goes() {
        let (mut subscriptions, now) = (connected(), Instant::now());
        let left: Arc<str> = "left just before".into();
        subscriptions.subscribe(left.clone());
        subscriptions.unsubscribe(&left, now);
        subscriptions.subscribe("stays".into());
        subscriptions.disconnected();
        for n in 0..1000 {
            let room: Arc<str> = format!("room:{}", n / 2).into();
            subscriptions.subscribe(room.clone());
            subscriptions.unsubscribe(&room, now);
        }
        let kept = [
            subscriptions.channels.len(),
            subscriptions.fresh.len(),
            subscriptions.idle.len(),
        ];
        assert_eq!(kept, [1, 0, 0]);
        subscriptions.connected();
        assert_eq!(names(&subscriptions.take_fresh()), ["stays"]);
    }

    #[test]
    fn many_channels_are_subscribed_in_batches() {
        let mut subscriptions = connected();
        for n in 0..1200 {
            subscriptions.subscribe(format!("t{n}").into());
        }
        let sizes: Vec<_> = std::iter::from_fn(|| {
            let batch = subscriptions.take_fresh().len();
            (batch > 0).then_some(batch)
        })
        .collect();
        assert_eq!(sizes, [512, 512, 176]);
    }
}
