//! Uploads in all their variants, for the clients' tests.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use channel_runtime::{
    Bytes,
    prelude::*,
    upload::{
        CloseReason, External, StoredFile, TempFile, UploadChannel, UploadEntry, UploadWriter,
        Uploads, WriterError,
    },
};
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};

/// Releases the slow writers of an album, on any connection.
static GATES: LazyLock<Mutex<HashMap<String, Arc<Semaphore>>>> = LazyLock::new(Mutex::default);

/// The time that a slow writer waits at most.
const PATIENCE: Duration = Duration::from_secs(60);

fn gate(album: &str) -> Arc<Semaphore> {
    let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
    let gate = gates.entry(album.to_owned());
    gate.or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
}

/// An album of one page.
pub(crate) struct Album {
    gate: Arc<Semaphore>,
    kept: Vec<StoredFile>,
}

/// A photo is stored.
#[derive(Serialize, Event)]
#[event("stored")]
pub(crate) struct Stored {
    name: String,
    path: String,
}

/// A writer was closed.
#[derive(Serialize, Event)]
#[event("closed")]
pub(crate) struct Closed {
    name: String,
    why: &'static str,
}

/// A temporary file that fails if its client's name says so.
pub(crate) struct Capricious {
    file: TempFile,
    name: String,
    chunks: u32,
    gate: Arc<Semaphore>,
    album: Topic,
    endpoint: Endpoint,
}

impl Capricious {
    fn fails(&self, at: &str) -> Result<(), WriterError> {
        match self.name.contains(&format!("{at}_error")) {
            true => Err(WriterError::refuse("as_asked")),
            false => Ok(()),
        }
    }
}

impl UploadWriter for Capricious {
    type Meta = StoredFile;

    async fn init(&mut self, entry: &UploadEntry) -> Result<(), WriterError> {
        self.fails("init")?;
        self.file.init(entry).await
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), WriterError> {
        self.chunks += 1;
        if self.chunks == 2 {
            self.fails("write")?;
            assert!(!self.name.contains("write_panic"), "as asked");
        }
        if self.chunks == 3 && self.name.contains("slow") {
            timeout(PATIENCE, self.gate.acquire()).await??.forget();
        }
        self.file.write_chunk(chunk).await
    }

    async fn close(&mut self, reason: CloseReason<'_>) -> Result<(), WriterError> {
        let name = self.name.clone();
        let why = match reason {
            CloseReason::Done => "done",
            CloseReason::Cancel => "cancel",
            CloseReason::Error(_) => "error",
        };
        // Also reaches a page that has come back on another connection.
        let closed = Closed { name, why };
        let _gone = self.endpoint.broadcast(self.album.clone(), &closed).await;
        if matches!(reason, CloseReason::Done) {
            self.fails("close")?;
        }
        self.file.close(reason).await
    }

    fn meta(&self) -> StoredFile {
        self.file.meta()
    }
}

#[channel("album:*", socket = AlbumSocket, pushes = [Stored, Closed])]
impl Album {
    /// Accepts no join before its gate is opened.
    #[join("album:shut")]
    async fn join_late(topic: &Topic) -> Result<Self, Refusal> {
        let album = Album::of(topic);
        album.pass().await?;
        Ok(album)
    }

    #[join]
    fn join(topic: &Topic) -> Self {
        Album::of(topic)
    }

    /// Nothing ends by itself, however slow a client's machine is.
    #[allow_upload(
        "photos",
        accept = ["image/*", ".bin"],
        max_entries = 5,
        max_file_size = 10_000_000,
        chunk_timeout = 600s,
        detach = 600s,
        auto_upload
    )]
    fn photos(
        &self,
        entry: &UploadEntry,
        album: &Topic,
        endpoint: &Endpoint,
    ) -> Result<Capricious, Refusal> {
        match entry.client_name().contains("unwanted") {
            true => Err(Refusal::new("unwanted")),
            false => Ok(self.capricious(entry, album, endpoint)),
        }
    }

    /// Keeps the files for as long as the channel lives.
    #[handle_upload("photos")]
    fn photo(
        &mut self,
        file: StoredFile,
        entry: &UploadEntry,
        socket: &Socket<Self>,
    ) -> Result<(), Refusal> {
        let name = entry.client_name().to_owned();
        if name.contains("refuse") {
            return Err(Refusal::new("not nice"));
        }
        let path = file.path().display().to_string();
        self.kept.push(file);
        // A page that is gone does not get it.
        let _gone = socket.push(&Stored { name, path });
        Ok(())
    }

    /// Like the photos, but without waiting for a client that is late with a chunk.
    #[allow_upload(
        "snapshots",
        accept = [".bin"],
        max_entries = 5,
        max_file_size = 10_000_000,
        chunk_timeout = 500ms,
        detach = 600s,
        auto_upload
    )]
    fn snapshots(&self, entry: &UploadEntry, album: &Topic, endpoint: &Endpoint) -> Capricious {
        self.capricious(entry, album, endpoint)
    }

    #[handle_upload("snapshots")]
    fn snapshot(
        &mut self,
        file: StoredFile,
        entry: &UploadEntry,
        socket: &Socket<Self>,
    ) -> Result<(), Refusal> {
        self.photo(file, entry, socket)
    }

    fn of(topic: &Topic) -> Self {
        Album {
            gate: gate(topic.as_str()),
            kept: Vec::new(),
        }
    }

    /// Waits for the gate, and closes it behind itself.
    async fn pass(&self) -> Result<(), Refusal> {
        let opened = self.gate.acquire().await;
        opened.map_err(|_| Refusal::new("closed"))?.forget();
        Ok(())
    }

    fn capricious(&self, entry: &UploadEntry, album: &Topic, endpoint: &Endpoint) -> Capricious {
        Capricious {
            file: TempFile::new(),
            name: entry.client_name().to_owned(),
            chunks: 0,
            gate: self.gate.clone(),
            album: album.clone(),
            endpoint: endpoint.clone(),
        }
    }

    /// Releases a slow writer of an album.
    #[handle_in("release")]
    fn release(&mut self, album: String) -> Reply {
        gate(&album).add_permits(1);
        Ok(())
    }

    /// Blocks this channel until its gate is opened.
    #[handle_in("hold")]
    async fn hold(&mut self) -> Reply {
        self.pass().await
    }

    /// Cancels a photo from the server.
    #[handle_in("drop")]
    fn give_up(&mut self, entry_ref: String, photos: &Uploads<Capricious>) -> Reply<bool> {
        Ok(photos.cancel(&entry_ref))
    }

    #[allow_upload("documents", accept = [".txt"], max_entries = 3, max_file_size = 1_000, chunk_size = 10)]
    fn documents(&self) -> TempFile {
        TempFile::new()
    }

    /// Takes the documents, once all are complete.
    #[handle_in("save")]
    async fn save(&mut self, documents: &Uploads<TempFile>) -> Reply<Vec<String>> {
        let mut texts = Vec::new();
        for document in documents.take_all()? {
            let path = document.file().path().to_owned();
            let text = tokio::fs::read_to_string(path).await;
            texts.push(text.map_err(|_| Refusal::new("unreadable"))?);
        }
        Ok(texts)
    }

    #[allow_upload("videos", accept = ["video/*"], max_entries = 2, auto_upload)]
    fn videos(&self, entry: &UploadEntry) -> External {
        let name = entry.client_name().to_owned();
        External::new("Elsewhere")
            .with("url", format!("/elsewhere/{name}"))
            .verify(async move |_| match name.contains("lost") {
                true => Err(Refusal::new("not there")),
                false => Ok(()),
            })
    }

    #[handle_upload("videos")]
    fn video(
        &mut self,
        file: External,
        entry: &UploadEntry,
        socket: &Socket<Self>,
    ) -> Result<(), Refusal> {
        let url = file.get("url").and_then(Value::as_str);
        let path = url.unwrap_or_default().to_owned();
        let name = entry.client_name().to_owned();
        let _gone = socket.push(&Stored { name, path });
        Ok(())
    }
}

/// A connection of a page with uploads.
pub(crate) struct AlbumSocket;

#[socket(channels = [Album, UploadChannel])]
impl AlbumSocket {
    #[connect]
    fn connect() -> Self {
        AlbumSocket
    }
}
