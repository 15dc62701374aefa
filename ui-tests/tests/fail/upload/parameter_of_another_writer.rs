//! The files of an upload, of another writer.

use channel_runtime::{Bytes, prelude::*, upload::{CloseReason, External, UploadEntry, UploadWriter, Uploads, WriterError}};

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
    fn save(&mut self, photos: &Uploads<Lines>) {}
}

pub struct Lines;

impl UploadWriter for Lines {
    type Meta = u64;

    async fn init(&mut self, _: &UploadEntry) -> Result<(), WriterError> {
        Ok(())
    }

    async fn write_chunk(&mut self, _: Bytes) -> Result<(), WriterError> {
        Ok(())
    }

    async fn close(&mut self, _: CloseReason<'_>) -> Result<(), WriterError> {
        Ok(())
    }

    fn meta(&self) -> u64 {
        0
    }
}

fn main() {}
