use channel_runtime::prelude::*;

pub struct NewMsg;

pub struct Json<T>(pub T);

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ping")]
    fn ping(&mut self, Json(_): Json<NewMsg>) {}
}

fn main() {}
