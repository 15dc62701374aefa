//! Uploads: to a writer, to another place, taken at once or by hand, under conditions.

use channel_runtime::{
    Bytes,
    prelude::*,
    upload::{
        CloseReason, Consumed, External, UploadChannel, UploadEntry, UploadWriter, Uploads,
        WriterError,
    },
};

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

pub struct Album;

#[channel("album:*", socket = User)]
impl Album {
    #[join]
    fn join() -> Self {
        Album
    }

    #[allow_upload(
        "texts",
        accept = [".txt", "text/plain", "image/*"],
        max_entries = 3,
        max_entries_mode = total,
        max_file_size = 1_000,
        chunk_size = 100,
        chunk_timeout = 1s,
        first_chunk_timeout = 2s,
        detach = off,
        auto_upload = true,
    )]
    async fn texts(
        &mut self,
        entry: &UploadEntry,
        socket: &Socket<Self>,
        user: &User,
    ) -> Result<Lines, Refusal> {
        Ok(Lines)
    }

    #[validate_upload("texts")]
    async fn check(&self, entry: &UploadEntry) -> Result<(), Refusal> {
        Ok(())
    }

    #[handle_progress("texts")]
    fn progress(&mut self, entry: &UploadEntry, topic: &Topic) -> Option<Stop> {
        None
    }

    #[handle_upload("texts")]
    async fn text(&mut self, entry: &UploadEntry, lines: u64) -> Result<Consumed, Refusal> {
        Ok(Consumed::Yes)
    }

    #[allow_upload("by-hand", accept = any, auto_upload)]
    fn by_hand() -> Lines {
        Lines
    }

    #[handle_upload("by-hand")]
    fn nothing() {}

    #[allow_upload("videos", accept = any)]
    fn videos(&self) -> External {
        External::new("S3")
    }

    #[handle_in("save")]
    async fn save(&mut self, videos: &Uploads<External>, _texts: &Uploads<Lines>) -> Reply<usize> {
        Ok(videos.take_all()?.len())
    }

    #[cfg(any())]
    #[allow_upload("never", accept = any)]
    fn never(&self) -> External {
        External::new("S3")
    }

    #[cfg(any())]
    #[handle_upload("never")]
    fn no(&mut self, _: External) {}
}

pub struct User;

#[socket(channels = [Album, UploadChannel])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
