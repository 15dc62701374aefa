use channel_runtime::prelude::*;

pub struct Admin;

impl Proof<Room> for Admin {
    fn prove(_: &Room, _: &Socket<Room>) -> Result<Self, Refusal> {
        Ok(Admin)
    }
}

pub struct Room;

#[channel("room:*", proofs = [Admin, Admin])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ban")]
    fn ban(&mut self, _: &Admin) {}
}

fn main() {}
