use channel_runtime::prelude::*;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("say")]
    fn say(&mut self, text: &str) -> Reply<usize> {
        Ok(text.len())
    }
}

fn main() {}
