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
    fn is_open(&self) -> Result<(), std::fmt::Error> {
        self.open.then_some(()).ok_or(std::fmt::Error)
    }
}

fn main() {}
