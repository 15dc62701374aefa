use channel_runtime::prelude::*;

pub struct Admin;
pub struct Tick;

impl Proof<Room> for Admin {
    fn prove(_: &Room, _: &Socket<Room>) -> Result<Self, Refusal> {
        Ok(Admin)
    }
}

pub struct Room;

#[channel("room:*", proofs = [Admin])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_info]
    fn tick(&mut self, _: Tick, _: &Admin) {}
}

fn main() {}
