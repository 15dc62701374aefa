//! An event that the library handles.

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
    fn photo(&mut self) {}

    #[handle_in("progress")]
    fn progress(&mut self) {}
}

fn main() {}
