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

    #[before_handle_in("say")]
    fn is_open(&self) -> Result<(), Refusal> {
        self.open.then_some(()).ok_or_else(|| Refusal::new("closed"))
    }
}

fn main() {}
