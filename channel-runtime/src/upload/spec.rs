//! The options of `#[allow_upload]`, known at compile time.

use std::time::Duration;

use serde_json::{Value, json};

use super::UploadEntry;
use crate::{error::ConfigError, options::SocketOptions};

/// The options of an upload. `#[allow_upload]` makes it; the methods are named after the options.
#[derive(Clone, Copy, Debug)]
pub struct UploadSpec {
    pub(crate) name: &'static str,
    pub(crate) accept: Accept,
    pub(crate) max_entries: u32,
    pub(crate) counts_consumed: bool,
    pub(crate) max_file_size: u64,
    pub(crate) chunk_size: u32,
    pub(crate) chunk_timeout_ms: u64,
    pub(crate) first_chunk_ms: u64,
    pub(crate) detach_ms: Option<u64>,
    pub(crate) auto_upload: bool,
    /// True if other handlers than a `#[handle_upload]` take the files.
    pub(crate) by_hand: bool,
}

/// The accepted types of files.
#[derive(Clone, Copy, Debug)]
pub enum Accept {
    /// All files.
    Any,
    /// The files that one of these matches: an extension with its dot, a MIME type, or `image/*`,
    /// `audio/*`, `video/*`; in lower case.
    Only(&'static [&'static str]),
}

impl UploadSpec {
    /// The largest number of files that an upload can take at once. The page gets the state of all
    /// of them with every change, so the cost of one client message grows with their number.
    pub const MAX_ENTRIES: u32 = 1_000;

    /// Returns the defaults, which are those of Phoenix for the options that Phoenix has.
    pub const fn new(name: &'static str, accept: Accept) -> Self {
        UploadSpec {
            name,
            accept,
            max_entries: 1,
            counts_consumed: false,
            max_file_size: 8_000_000,
            chunk_size: 64_000,
            chunk_timeout_ms: 10_000,
            first_chunk_ms: 30_000,
            detach_ms: Some(30_000),
            auto_upload: false,
            by_hand: false,
        }
    }

    /// Sets the number of files at once, at most [`UploadSpec::MAX_ENTRIES`]: building an endpoint
    /// fails with more. Default: 1, in which case a new file replaces the old one.
    #[must_use]
    pub const fn max_entries(mut self, entries: u32) -> Self {
        self.max_entries = entries;
        self
    }

    /// Counts consumed files too: `max_entries_mode = total`.
    #[must_use]
    pub const fn counts_consumed(mut self) -> Self {
        self.counts_consumed = true;
        self
    }

    /// Sets the largest size of a file in bytes. Default: 8,000,000.
    #[must_use]
    pub const fn max_file_size(mut self, bytes: u64) -> Self {
        self.max_file_size = bytes;
        self
    }

    /// Sets the number of bytes that a client sends at once. Default: 64,000.
    #[must_use]
    pub const fn chunk_size(mut self, bytes: u32) -> Self {
        self.chunk_size = bytes;
        self
    }

    /// Sets the time limit for the next chunk, in milliseconds. Default: 10,000.
    #[must_use]
    pub const fn chunk_timeout_ms(mut self, milliseconds: u64) -> Self {
        self.chunk_timeout_ms = milliseconds;
        self
    }

    /// Sets the time limit for the first chunk, in milliseconds. Default: 30,000.
    #[must_use]
    pub const fn first_chunk_timeout_ms(mut self, milliseconds: u64) -> Self {
        self.first_chunk_ms = milliseconds;
        self
    }

    /// Sets the time, in milliseconds, that an upload waits for a client that can resume and has
    /// lost its connection, has left, or has sent nothing for too long. `None` does not wait.
    /// Default: 30,000.
    #[must_use]
    pub const fn detach_ms(mut self, milliseconds: Option<u64>) -> Self {
        self.detach_ms = milliseconds;
        self
    }

    /// Sends files as soon as they are chosen.
    #[must_use]
    pub const fn auto_upload(mut self) -> Self {
        self.auto_upload = true;
        self
    }

    /// Leaves the files to handlers that borrow the [`Uploads`](super::Uploads), instead of a
    /// `#[handle_upload]`.
    #[must_use]
    pub const fn by_hand(mut self) -> Self {
        self.by_hand = true;
        self
    }

    /// Returns the upload's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the number of bytes that a client sends at once.
    pub const fn chunk_bytes(&self) -> u32 {
        self.chunk_size
    }

    pub(super) fn chunk_timeout(&self) -> Duration {
        Duration::from_millis(self.chunk_timeout_ms)
    }

    /// Checks that there are not too many files, that a client can join a channel for each beside
    /// the one that takes them, and that a message can hold a chunk: its head has four fields of at
    /// most 255 bytes, and it may begin with its offset.
    pub(crate) fn check(&self, options: &SocketOptions) -> Result<(), ConfigError> {
        const HEAD: usize = 5 + 4 * 255 + 8;
        if self.max_entries > Self::MAX_ENTRIES {
            return Err(ConfigError::MaxEntries {
                upload: self.name,
                max_entries: self.max_entries,
                most: Self::MAX_ENTRIES,
            });
        }
        let most = options.max_frame_size.min(options.max_message_size);
        let most = most.saturating_sub(HEAD);
        if self.max_entries as usize >= options.max_channels {
            return Err(ConfigError::EntriesOverChannels {
                upload: self.name,
                max_entries: self.max_entries,
                max_channels: options.max_channels,
            });
        }
        match self.chunk_size as usize > most {
            true => Err(ConfigError::ChunkSize {
                upload: self.name,
                chunk_size: self.chunk_size,
                most,
            }),
            false => Ok(()),
        }
    }

    /// Returns the configuration that a client gets when its files are allowed.
    pub(super) fn config(&self) -> Value {
        json!({
            "max_file_size": self.max_file_size,
            "max_entries": self.max_entries,
            "chunk_size": self.chunk_size,
            "chunk_timeout": self.chunk_timeout_ms,
        })
    }

    pub(super) fn detach(&self) -> Option<Duration> {
        self.detach_ms.map(Duration::from_millis)
    }

    pub(super) fn first_chunk_timeout(&self) -> Duration {
        Duration::from_millis(self.first_chunk_ms)
    }
}

impl Accept {
    /// Returns true if a file is accepted: by the extension of its name, or by the type that its
    /// client claims. If a client claims none, as browsers do for types they do not know, the
    /// extension's own type counts as claimed.
    pub(super) fn takes(&self, entry: &UploadEntry) -> bool {
        let Accept::Only(list) = self else {
            return true;
        };
        let extension = entry.extension().unwrap_or_default();
        let guessed = mime_guess::from_ext(&extension);
        let is = |matches: &dyn Fn(&str) -> bool| match entry.client_type() {
            "" => guessed.iter_raw().any(matches),
            claimed => matches(claimed),
        };
        list.iter().any(|item| {
            if let Some(listed) = item.strip_prefix('.') {
                let stands_for = mime_guess::from_ext(listed);
                extension == listed || is(&|ty| stands_for.iter_raw().any(|mime| mime == ty))
            } else if let Some(family) = item.strip_suffix('*') {
                is(&|ty| ty.starts_with(family))
            } else {
                is(&|ty| ty == *item)
            }
        })
    }

    /// Returns the value of an `<input type="file" accept="…">`; empty for all files.
    pub(super) fn attribute(&self) -> String {
        match self {
            Accept::Any => String::new(),
            Accept::Only(list) => list.join(","),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::upload::selection::ClientEntry;

    fn entry(name: &str, ty: &str) -> UploadEntry {
        UploadEntry::new("photos", Arc::new(ClientEntry::new(name, 1, ty)), 0)
    }

    #[test]
    fn more_files_than_a_page_can_be_shown_are_a_mistake_of_the_configuration() {
        let check = |entries| {
            let spec = UploadSpec::new("photos", Accept::Any).max_entries(entries);
            spec.check(&SocketOptions::default().max_channels(1001))
        };
        assert!(check(UploadSpec::MAX_ENTRIES).is_ok());
        assert_eq!(
            check(UploadSpec::MAX_ENTRIES + 1).unwrap_err().to_string(),
            "the upload \"photos\" has `max_entries` of 1001, but at most 1000 are allowed"
        );
    }

    #[test]
    fn an_extension_is_compared_without_case_and_admits_its_type() {
        let accept = Accept::Only(&[".jpg", ".glb"]);
        assert!(accept.takes(&entry("a.JPG", "")));
        assert!(accept.takes(&entry("photo", "image/jpeg")));
        assert!(
            accept.takes(&entry("model.glb", "")),
            "an extension nobody knows"
        );
        assert!(!accept.takes(&entry("jpg", "")));
        assert!(!accept.takes(&entry("a.jpg.exe", "application/octet-stream")));
    }

    #[test]
    fn a_family_takes_what_is_claimed_or_guessed() {
        let accept = Accept::Only(&["image/*"]);
        assert!(accept.takes(&entry("x", "image/heic")));
        assert!(accept.takes(&entry("x.png", "")));
        assert!(!accept.takes(&entry("x.png", "text/html")));
    }

    #[test]
    fn a_type_is_taken_as_it_is_written() {
        let accept = Accept::Only(&["application/pdf"]);
        assert!(accept.takes(&entry("x", "application/pdf")));
        assert!(accept.takes(&entry("x.pdf", "")));
        assert!(!accept.takes(&entry("x", "application/pdfx")));
        assert!(Accept::Any.takes(&entry("x", "")));
    }
}
