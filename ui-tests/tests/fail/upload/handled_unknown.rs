//! A handler of an upload that does not exist.

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

    #[handle_upload("fotos")]
    fn foto(&mut self) {}
}

fn main() {}
