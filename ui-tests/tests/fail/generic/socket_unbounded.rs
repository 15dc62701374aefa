use channel_runtime::prelude::*;

use std::marker::PhantomData;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }
}

pub struct User<S>(PhantomData<S>);

#[socket(channels = [Room])]
impl<S> User<S> {
    #[connect]
    fn connect() -> Self {
        User(PhantomData)
    }
}

fn main() {}
