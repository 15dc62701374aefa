use channel_runtime::prelude::*;

pub struct Room {
    open: bool,
}

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room { open: true }
    }

    #[before_join]
    fn is_open(socket: &Socket<Self>) -> Result<(), Refusal> {
        let _ = socket;
        Ok(())
    }
}

fn main() {}
