//! A socket that is generic over its channels' needs.

use channel_runtime::prelude::*;

pub trait Store: Default + Send + Sync + 'static {}

pub struct User<S> {
    store: S,
}

#[socket(channels = [Room<S>, Lobby])]
impl<S: Store> User<S> {
    #[connect]
    fn connect() -> Self {
        User {
            store: S::default(),
        }
    }

    #[id]
    fn id(&self) -> Option<&'static str> {
        let _ = &self.store;
        None
    }
}

pub struct Room<S> {
    store: std::marker::PhantomData<fn() -> S>,
}

#[channel("room:*", socket = User<S>)]
impl<S: Store> Room<S> {
    #[join]
    fn join(user: &User<S>) -> Self {
        let _ = &user.store;
        Room {
            store: std::marker::PhantomData,
        }
    }
}

pub struct Lobby;

#[channel("lobby")]
impl Lobby {
    #[join]
    fn join() -> Self {
        Lobby
    }
}

fn main() {}
