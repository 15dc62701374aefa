use channel_runtime::prelude::*;

use std::marker::PhantomData;

pub struct Room<T>(PhantomData<T>);

#[channel("room:*")]
impl<T: Send + Sync + 'static> Room<T> {
    #[join]
    fn join() -> Self {
        Room(PhantomData)
    }
}

pub struct User;

#[socket(channels = [Room<u8>, Room<u16>])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
