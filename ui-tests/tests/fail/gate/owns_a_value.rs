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
    fn is_open(&self, text: String) -> Result<(), Refusal> {
        (self.open || text.is_empty()).then_some(()).ok_or_else(|| Refusal::new("closed"))
    }
}

fn main() {}
