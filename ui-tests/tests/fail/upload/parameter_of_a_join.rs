//! The files of an upload before the join.

use channel_runtime::{prelude::*, upload::{External, Uploads}};

pub struct Album;

#[channel("album:*")]
impl Album {
    #[allow_upload("photos", accept = any)]
    fn photos(&self) -> External {
        External::new("S3")
    }

    #[handle_upload("photos")]
    fn photo(&mut self) {}

    #[join("album:{id}")]
    fn join(id: u32, photos: &Uploads<External>) -> Self {
        Album
    }
}

fn main() {}
