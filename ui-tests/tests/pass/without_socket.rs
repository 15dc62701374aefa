//! A channel that names no socket belongs to every socket.

use channel_runtime::{ prelude::*, handler::{Channel, ChannelOf, ChannelSocket}};

pub struct Shared;

#[channel("shared:*")]
impl Shared {
    #[join]
    fn join() -> Self {
        Shared
    }
}

pub struct One;

#[socket(channels = [Shared])]
impl One {
    #[connect]
    fn connect() -> Self {
        One
    }
}

pub struct Two;

#[socket(channels = [Shared])]
impl Two {
    #[connect]
    fn connect() -> Self {
        Two
    }
}

fn belongs<S: ChannelSocket, C: ChannelOf<S> + Channel<Socket = ()>>() {}

fn main() {
    belongs::<One, Shared>();
    belongs::<Two, Shared>();
}
