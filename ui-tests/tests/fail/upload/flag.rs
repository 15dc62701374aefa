//! A flag that is neither true nor false.

use channel_runtime::{prelude::*, upload::External};

pub struct Album;

#[channel("album:*")]
impl Album {
    #[join]
    fn join() -> Self {
        Album
    }

    #[allow_upload("photos", accept = any, auto_upload = 1)]
    fn photos(&self) -> External {
        External::new("S3")
    }

    #[handle_upload("photos")]
    fn photo(&mut self) {}
}

fn main() {}
