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

    #[before_handle_in]
    fn is_open(&self) -> bool {
        self.open
    }
}

fn main() {}
