//! A future that is not awaited.

use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("count")]
    fn count(&mut self) -> impl Future<Output = ()> {
        async {}
    }
}

fn main() {}
