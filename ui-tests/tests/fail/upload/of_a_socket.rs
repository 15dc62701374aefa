//! An upload of a socket.

use channel_runtime::{prelude::*, upload::{External, UploadChannel}};

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

#[socket(channels = [Album, UploadChannel])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }

    #[allow_upload("photos", accept = any)]
    fn photos(&self) -> External {
        External::new("S3")
    }
}

fn main() {}
