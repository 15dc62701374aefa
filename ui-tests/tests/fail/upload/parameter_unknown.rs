//! The files of an upload that does not exist.

use channel_runtime::{prelude::*, upload::{External, Uploads}};

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

    #[handle_in("save")]
    fn save(&mut self, fotos: &Uploads<External>) {}
}

fn main() {}
