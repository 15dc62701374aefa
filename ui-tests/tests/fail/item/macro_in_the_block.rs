use channel_runtime::prelude::*;

macro_rules! ping {
    () => {
        #[handle_in("ping")]
        fn ping(&mut self) {}
    };
}

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    ping!();
}

fn main() {}
