use channel_runtime::prelude::*;

pub struct NewMsg;

pub struct State<T>(pub T);

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, State(_): State<NewMsg>) {}
}

fn main() {}
