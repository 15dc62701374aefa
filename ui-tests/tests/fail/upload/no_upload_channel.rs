//! Uploads without the channel for their bytes.

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
}

pub struct User;

#[socket(channels = [Album])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
