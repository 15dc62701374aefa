//! An upload with a destination that is not one.

use channel_runtime::prelude::*;

pub struct Album;

#[channel("album:*")]
impl Album {
    #[join]
    fn join() -> Self {
        Album
    }

    #[allow_upload("photos", accept = any)]
    fn photos(&self) -> String {
        String::new()
    }

    #[handle_upload("photos")]
    fn photo(&mut self) {}
}

fn main() {}
