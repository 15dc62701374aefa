use channel_runtime::{
    prelude::*,
    upload::{StoredFile, TempFile},
};

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[allow_upload("photos", accept = any, chunk_timeout = 10)]
    fn photos(&mut self) -> TempFile {
        TempFile::new()
    }

    #[handle_upload("photos")]
    fn photo(&mut self, _: StoredFile) {}
}

fn main() {}
