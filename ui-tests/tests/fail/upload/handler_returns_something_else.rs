//! A handler that returns an unused value.

use channel_runtime::{prelude::*, upload::External};

pub struct Album;

#[channel("album:*")]
impl Album {
    #[join]
    fn join() -> Self {
        Album
    }

    #[allow_upload("photos", accept = any)]
    fn photos(&self) -> External {
        External::new("S3")
    }

    #[handle_upload("photos")]
    fn photo(&mut self) -> u8 {
        1
    }
}

fn main() {}
