//! A channel that takes uploads, whose writers report their calls to the test, and fail if a file's
//! name says so.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use channel_runtime::{
    Bytes,
    prelude::*,
    upload::{
        CloseReason, Consumed, External, Paused, UploadChannel, UploadEntry, UploadWriter, Uploads,
        WriterError,
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
    time::sleep,
};

/// The listeners for the writers of an album: the test of its name.
static LISTENERS: Mutex<Vec<(String, UnboundedSender<String>)>> = Mutex::new(Vec::new());

pub(crate) fn listen(test: &str) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    LISTENERS.lock().unwrap().push((test.to_owned(), sender));
    receiver
}

fn tell(test: &str, what: String) {
    let listeners = LISTENERS.lock().unwrap();
    let listener = listeners.iter().find(|(name, _)| name == test);
    // A test that is over no longer listens.
    let _over = listener.map(|(_, sender)| sender.send(what));
}

/// The gates of the slow writers, one per test: a test must not release those of another.
static GATES: LazyLock<Mutex<HashMap<String, Arc<Semaphore>>>> = LazyLock::new(Mutex::default);

fn gate(test: &str) -> Arc<Semaphore> {
    let mut gates = GATES.lock().unwrap();
    let gate = gates.entry(test.to_owned());
    gate.or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
}

/// Releases a writer of this test whose file's name says `slow`, or its channel that sleeps.
pub(crate) fn release(test: &str) {
    gate(test).add_permits(1);
}

pub(crate) struct Recorder {
    test: String,
    name: String,
    bytes: Vec<u8>,
    chunks: usize,
    begun: bool,
    metas: AtomicUsize,
}

impl Recorder {
    fn note(&self, what: impl std::fmt::Display) {
        tell(&self.test, format!("{}: {what}", self.name));
    }

    fn fails(&self, at: &str) -> Result<(), WriterError> {
        if self.name.contains(&format!("{at}_panic")) {
            panic!("{at} was asked to panic");
        }
        match self.name.contains(&format!("{at}_error")) {
            true => Err(WriterError::refuse("as_asked")),
            false => Ok(()),
        }
    }
}

impl UploadWriter for Recorder {
    type Meta = Vec<u8>;

    async fn init(&mut self, entry: &UploadEntry) -> Result<(), WriterError> {
        self.begun = true;
        self.note(format!("init {}", entry.client_size()));
        self.fails("init")
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), WriterError> {
        self.note(format!("write {}", chunk.len()));
        self.chunks += 1;
        if self.name.contains("slow") {
            gate(&self.test).acquire().await.unwrap().forget();
        }
        if self.name.contains("long") {
            sleep(Duration::from_secs(2)).await;
        }
        if self.chunks == 2 {
            self.fails("write")?;
        }
        self.bytes.extend(chunk);
        Ok(())
    }

    async fn pause(&mut self) -> Result<Paused, WriterError> {
        Ok(match self.name.contains("pausing") {
            true => Paused::Closed,
            false => Paused::Open,
        })
    }

    async fn close(&mut self, reason: CloseReason<'_>) -> Result<(), WriterError> {
        self.note(match reason {
            CloseReason::Done => format!("done {}", self.bytes.len()),
            CloseReason::Cancel => format!("cancel {}", self.bytes.len()),
            CloseReason::Error(error) => format!("error {}", error.reason()),
        });
        self.fails("close")
    }

    fn meta(&self) -> Vec<u8> {
        self.note("meta");
        let again = self.metas.fetch_add(1, Relaxed) > 0;
        assert!(!(again && self.name.contains("meta_panic")), "as asked");
        self.bytes.clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.begun {
            self.note("drop");
        }
        assert!(!self.name.contains("drop_panic"), "as asked");
    }
}

pub(crate) struct Album {
    test: String,
    postponed: bool,
}

#[channel("album:*", socket = User)]
impl Album {
    #[join("album:{test}")]
    fn join(test: String) -> Self {
        Album {
            test,
            postponed: false,
        }
    }

    #[allow_upload(
        "photos",
        accept = [".jpg", ".bin"],
        max_entries = 3,
        max_file_size = 100,
        chunk_size = 10,
        chunk_timeout = 1s,
        first_chunk_timeout = 5s,
        detach = 4s
    )]
    fn photos(&self, entry: &UploadEntry) -> Result<Recorder, Refusal> {
        if entry.client_name().contains("unwanted") {
            return Err(Refusal::new("unwanted"));
        }
        Ok(self.recorder(entry))
    }

    #[handle_upload("photos")]
    async fn photo(&mut self, bytes: Vec<u8>, entry: &UploadEntry) -> Result<Consumed, Refusal> {
        let name = entry.client_name();
        tell(
            &self.test,
            format!("{name}: handle {} at {}", bytes.len(), entry.progress()),
        );
        if name.contains("refuse") {
            return Err(Refusal::new("not nice"));
        }
        if name.contains("keep") {
            return Ok(Consumed::Postponed);
        }
        if name.contains("postpone") && !self.postponed {
            self.postponed = true;
            return Ok(Consumed::Postponed);
        }
        Ok(Consumed::Yes)
    }

    #[handle_progress("photos")]
    fn progress(&mut self, entry: &UploadEntry) {
        if entry.client_name().contains("progress") {
            tell(&self.test, format!("progress {}", entry.progress()));
        }
        self.end(entry);
    }

    #[allow_upload("film", accept = ["video/*"])]
    fn film(&self) -> External {
        External::new("S3").verify(async |entry: UploadEntry| {
            assert!(!entry.client_name().contains("verify_panic"), "as asked");
            match entry.client_name().contains("lost") {
                true => Err(Refusal::new("not there")),
                false => Ok(()),
            }
        })
    }

    #[handle_upload("film")]
    fn filmed(&mut self, _: External) {}

    #[handle_progress("film")]
    fn film_progress(&mut self, entry: &UploadEntry) {
        self.end(entry);
    }

    #[validate_upload("photos")]
    fn validate(&self, entry: &UploadEntry) -> Result<(), Refusal> {
        match entry.client_name().starts_with("bad") {
            true => Err(Refusal::new("bad name")),
            false => Ok(()),
        }
    }

    #[handle_in("take")]
    fn take(&self, entry_ref: String, photos: &Uploads<Recorder>) -> Reply<usize> {
        Ok(photos.take(&entry_ref)?.file().len())
    }

    #[handle_in("take_finished")]
    fn take_finished(&self, photos: &Uploads<Recorder>) -> Reply<usize> {
        Ok(photos.take_finished()?.len())
    }

    #[handle_in("nap")]
    async fn nap(&mut self) {
        sleep(Duration::from_secs(1)).await;
    }

    #[allow_upload("avatar", accept = any, chunk_size = 10)]
    fn avatar(&self, entry: &UploadEntry) -> Recorder {
        self.recorder(entry)
    }

    /// For clients on real connections, which may be slow.
    #[allow_upload("scans", accept = any, chunk_size = 10, chunk_timeout = 60s)]
    fn scans(&self, entry: &UploadEntry) -> Recorder {
        self.recorder(entry)
    }

    #[handle_upload("scans")]
    fn scan(&mut self, bytes: Vec<u8>, entry: &UploadEntry) {
        let name = entry.client_name();
        tell(&self.test, format!("{name}: handle {}", bytes.len()));
    }

    #[handle_in("save")]
    fn save(&self, keep: Vec<String>, avatar: &Uploads<Recorder>) -> Reply<Vec<String>> {
        let mut names = Vec::new();
        for file in avatar.take_all()? {
            let name = file.entry().client_name().to_owned();
            match keep.contains(&name) {
                true => names.push(name),
                false => file.postpone(),
            }
        }
        Ok(names)
    }

    #[handle_in("look")]
    fn look(&self, photos: &Uploads<Recorder>, avatar: &Uploads<Recorder>) -> Reply<Value> {
        let photos = photos.entries().len();
        Ok(json!({"photos": photos, "avatars": avatar.entries().len(), "errors": avatar.errors()}))
    }

    #[handle_in("cancel")]
    fn cancel(&self, entry_ref: String, photos: &Uploads<Recorder>) -> Reply<bool> {
        Ok(photos.cancel(&entry_ref))
    }

    #[allow_upload("videos", accept = ["video/*"], max_entries = 2, auto_upload)]
    fn videos(&self, entry: &UploadEntry) -> Result<External, Refusal> {
        let name = entry.client_name().to_owned();
        if name.contains("nowhere") {
            return Err(Refusal::new("nowhere to put it").with("name", name));
        }
        let external = External::new("S3").with("url", format!("https://example.com/{name}"));
        Ok(external.verify(async move |entry: UploadEntry| {
            assert!(!name.contains("verify_panic"), "as asked");
            match name.contains("lost") {
                true => Err(Refusal::new("not there").with("size", entry.client_size())),
                false => Ok(()),
            }
        }))
    }

    #[handle_upload("videos")]
    fn video(&mut self, file: External) {
        let url = file.get("url").and_then(Value::as_str).unwrap_or_default();
        tell(&self.test, format!("video {url}"));
    }

    #[handle_in("crash")]
    fn crash(&mut self) {
        panic!("as asked");
    }

    #[handle_in("sleep")]
    async fn sleep(&mut self) -> Reply {
        let gate = gate(&self.test);
        gate.acquire().await.map_err(|_| Refusal::empty())?.forget();
        Ok(())
    }

    fn end(&self, entry: &UploadEntry) {
        if let (Some(why), true) = (entry.error(), entry.client_name().contains("ended")) {
            tell(&self.test, format!("ended {why}"));
        }
    }

    fn recorder(&self, entry: &UploadEntry) -> Recorder {
        Recorder {
            test: self.test.clone(),
            name: entry.client_name().to_owned(),
            bytes: Vec::new(),
            chunks: 0,
            begun: false,
            metas: AtomicUsize::new(0),
        }
    }
}

pub(crate) struct User;

#[socket(channels = [Album, UploadChannel])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

/// Long enough to show that nothing happens, in paused time.
pub(crate) const LONG: Duration = Duration::from_secs(60);
