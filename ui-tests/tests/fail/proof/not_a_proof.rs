use channel_runtime::prelude::*;

pub struct Admin;

pub struct Room;

#[channel("room:*", proofs = [Admin])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ban")]
    fn ban(&mut self, _: &Admin) {}
}

fn main() {}
