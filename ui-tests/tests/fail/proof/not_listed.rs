use channel_runtime::prelude::*;

pub struct Admin;
pub struct Owner;

impl Proof<Room> for Owner {
    fn prove(_: &Room, _: &Socket<Room>) -> Result<Self, Refusal> {
        Ok(Owner)
    }
}

pub struct Room;

#[channel("room:*", proofs = [Owner])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("ban")]
    fn ban(&mut self, _: &Admin, _: &Owner) {}
}

fn main() {}
