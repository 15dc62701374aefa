//! Finds each user's channel, for code outside of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use channel_runtime::ChannelRef;

use crate::channel::NotificationChannel;

type Channels = HashMap<String, ChannelRef<NotificationChannel>>;

/// The channels that are joined now, by user. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Directory(Arc<Mutex<Channels>>);

impl Directory {
    pub(crate) fn enter(&self, user: &str, channel: ChannelRef<NotificationChannel>) {
        self.with(|channels| channels.insert(user.to_owned(), channel));
    }

    /// Forgets a user's channel, unless a newer one has taken its place.
    pub(crate) fn leave(&self, user: &str, channel: &ChannelRef<NotificationChannel>) {
        self.with(|channels| {
            if channels
                .get(user)
                .is_some_and(|known| known.id() == channel.id())
            {
                channels.remove(user);
            }
        });
    }

    pub(crate) fn find(&self, user: &str) -> Option<ChannelRef<NotificationChannel>> {
        self.with(|channels| channels.get(user).cloned())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Channels) -> T) -> T {
        // No change can panic halfway, so a poisoned lock holds a sound map.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
