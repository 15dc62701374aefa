use channel_runtime::prelude::*;

pub struct Room<'a>(pub &'a str);

#[channel("room:*")]
impl Room<'_> {
    #[join]
    fn join() -> Self {
        Room("")
    }
}

fn main() {}
