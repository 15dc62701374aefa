use channel_runtime::prelude::*;

use std::marker::PhantomData;

pub struct Room<S>(PhantomData<S>);

#[channel("room:*", socket = S)]
impl<S> Room<S> {
    #[join]
    fn join(user: &S) -> Self {
        let _ = user;
        Room(PhantomData)
    }
}

fn main() {}
