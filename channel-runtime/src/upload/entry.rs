//! A file that a client wants to upload.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use uuid::Uuid;

use super::selection::ClientEntry;

/// A file that a client has chosen, as far as the client's word goes. Mirrors
/// `Phoenix.LiveView.UploadEntry`.
///
/// Everything but [`UploadEntry::uuid`] and [`UploadEntry::progress`] is what the client says, and
/// nothing in it is checked, but for the size: an upload ends with exactly that many bytes, or not
/// at all. A name may hold `../`; name stored files by their uuid.
///
/// Cheap to clone. The value is how the entry was when it was given.
#[derive(Clone)]
pub struct UploadEntry {
    upload: &'static str,
    uuid: Uuid,
    said: Arc<ClientEntry>,
    progress: u8,
    error: Option<Arc<Value>>,
}

impl UploadEntry {
    pub(crate) fn new(upload: &'static str, said: Arc<ClientEntry>, progress: u8) -> Self {
        UploadEntry {
            upload,
            uuid: Uuid::new_v4(),
            said,
            progress,
            error: None,
        }
    }

    /// An entry as if a client had chosen the file, for the tests of a writer of your own.
    #[cfg(feature = "test")]
    pub fn example(client_name: &str, client_size: u64, client_type: &str) -> Self {
        let said = ClientEntry::new(client_name, client_size, client_type);
        UploadEntry::new("example", Arc::new(said), 0)
    }

    pub(super) fn set_progress(&mut self, progress: u8) {
        self.progress = progress;
    }

    /// The first error stays. Says whether this is it.
    pub(super) fn set_error(&mut self, reason: Value) -> bool {
        let is_first = self.error.is_none();
        self.error.get_or_insert_with(|| Arc::new(reason));
        is_first
    }

    /// The name of the upload it is for, as `#[allow_upload]` declares it.
    pub fn upload(&self) -> &'static str {
        self.upload
    }

    /// The client's name for the entry: a number, counted by each page.
    pub fn entry_ref(&self) -> &str {
        &self.said.entry_ref
    }

    /// A name of the server's own, different for every entry there ever was.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// The file's name on the client's machine, at most 1,024 bytes.
    pub fn client_name(&self) -> &str {
        &self.said.name
    }

    /// The file's size in bytes.
    pub fn client_size(&self) -> u64 {
        self.said.size
    }

    /// The MIME type the client guessed from the name; empty where it knows none.
    pub fn client_type(&self) -> &str {
        &self.said.content_type
    }

    /// The path under the folder that was chosen, where a folder was.
    pub fn client_relative_path(&self) -> Option<&str> {
        self.said.relative_path.as_deref()
    }

    /// When the file was last changed.
    pub fn client_last_modified(&self) -> Option<SystemTime> {
        let since = Duration::from_millis(self.said.last_modified?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }

    /// What else the page says of the file, [`Value::Null`] where it says nothing.
    pub fn client_meta(&self) -> &Value {
        self.said.meta()
    }

    /// How much of it is here, in percent: of the bytes a writer has taken, or what the client
    /// says of an external upload.
    pub fn progress(&self) -> u8 {
        self.progress
    }

    /// What is wrong with it, or why it has ended: the reason that the page is told in `errors`, a
    /// word or an object with a `reason`. `None` while nothing is wrong, and of a file that is done.
    ///
    /// A `#[handle_progress]` that is given an entry with an error hears of it for the last time.
    pub fn error(&self) -> Option<&Value> {
        self.error.as_deref()
    }

    /// The file's name as text that can be compared, for the extension.
    pub(super) fn extension(&self) -> Option<String> {
        let (_, extension) = self.said.name.rsplit_once('.')?;
        Some(extension.to_ascii_lowercase())
    }
}

impl fmt::Debug for UploadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadEntry")
            .field("upload", &self.upload)
            .field("entry_ref", &self.entry_ref())
            .field("client_name", &self.client_name())
            .field("client_size", &self.client_size())
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}
