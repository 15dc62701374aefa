//! A file that a client wants to upload.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use uuid::Uuid;

use super::selection::ClientEntry;

/// A file that a client has chosen, as the client describes it. Mirrors
/// `Phoenix.LiveView.UploadEntry`.
///
/// Everything but [`UploadEntry::uuid`] and [`UploadEntry::progress`] comes from the client, and
/// only the size is checked: an upload ends with exactly that many bytes, or not at all. A name may
/// hold `../`; name stored files by their uuid.
///
/// Cheap to clone. A clone is a snapshot of the entry.
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

    /// Returns an entry as if a client had chosen the file, for tests of your own writer.
    #[cfg(feature = "test")]
    pub fn example(client_name: &str, client_size: u64, client_type: &str) -> Self {
        let said = ClientEntry::new(client_name, client_size, client_type);
        UploadEntry::new("example", Arc::new(said), 0)
    }

    pub(super) fn set_progress(&mut self, progress: u8) {
        self.progress = progress;
    }

    /// Sets the error unless there is one. Returns true if it was set.
    pub(super) fn set_error(&mut self, reason: Value) -> bool {
        let is_first = self.error.is_none();
        self.error.get_or_insert_with(|| Arc::new(reason));
        is_first
    }

    /// Returns the name of the upload it is for, as `#[allow_upload]` declares it.
    pub fn upload(&self) -> &'static str {
        self.upload
    }

    /// Returns the client's name for the entry: a number, counted by each page.
    pub fn entry_ref(&self) -> &str {
        &self.said.entry_ref
    }

    /// Returns the server's own id of the entry, unique among all entries.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Returns the file's name on the client's machine, at most 1,024 bytes.
    pub fn client_name(&self) -> &str {
        &self.said.name
    }

    /// Returns the file's size in bytes.
    pub fn client_size(&self) -> u64 {
        self.said.size
    }

    /// Returns the MIME type that the client guessed from the name; empty if it knows none.
    pub fn client_type(&self) -> &str {
        &self.said.content_type
    }

    /// Returns the path under the chosen folder, if a folder was chosen.
    pub fn client_relative_path(&self) -> Option<&str> {
        self.said.relative_path.as_deref()
    }

    /// Returns the time when the file was last changed.
    pub fn client_last_modified(&self) -> Option<SystemTime> {
        let since = Duration::from_millis(self.said.last_modified?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }

    /// Returns the page's own metadata of the file, [`Value::Null`] if there is none.
    pub fn client_meta(&self) -> &Value {
        self.said.meta()
    }

    /// Returns the progress in percent: of the bytes that a writer has taken, or as the client
    /// reports it for an external upload.
    pub fn progress(&self) -> u8 {
        self.progress
    }

    /// Returns what is wrong with it, or why it has ended: the reason that the page gets in
    /// `errors`, a word or an object with a `reason`. `None` while nothing is wrong, and for a file
    /// that is done.
    ///
    /// A `#[handle_progress]` that gets an entry with an error gets it for the last time.
    pub fn error(&self) -> Option<&Value> {
        self.error.as_deref()
    }

    /// Returns the extension of the file's name as text that can be compared.
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
