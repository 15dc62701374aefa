use channel_runtime::prelude::*;

pub struct Room<T>(T);

#[channel("room:*")]
impl<T> Room<T> {
    #[join]
    fn join() -> Result<Self, Refusal> {
        Err(Refusal::empty())
    }

    #[handle_in("ping")]
    fn ping(&mut self, socket: &Socket<Self>) {
        let _ = socket;
    }
}

fn main() {}
