//! An upload without a destination.

use channel_runtime::prelude::*;

pub struct Album;

#[channel("album:*")]
impl Album {
    #[join]
    fn join() -> Self {
        Album
    }

    #[allow_upload("photos", accept = any)]
    fn photos(&self) {}

    #[handle_upload("photos")]
    fn photo(&mut self) {}
}

fn main() {}
