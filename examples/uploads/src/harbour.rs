//! The channel of a page: which files it may send, where they go, and what happens to them.

use channel_runtime::{
    prelude::*,
    upload::{StoredFile, TempFile, UploadEntry},
};
use serde::{Deserialize, Serialize};

use crate::{
    folder::{Folder, NotKept},
    socket::UserSocket,
};

/// The uploads of one page.
pub(crate) struct Harbour {
    folder: Folder,
}

/// The response to a join.
#[derive(Serialize)]
pub(crate) struct Welcome {
    folder: String,
}

/// A file is in the folder.
#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event("stored")]
pub(crate) struct Stored {
    /// The page's ref of the entry.
    #[serde(rename = "ref")]
    entry_ref: String,
    url: String,
    is_image: bool,
}

#[channel("harbour", socket = UserSocket, pushes = [Stored])]
impl Harbour {
    #[join("harbour")]
    fn join(user: &UserSocket) -> (Self, Welcome) {
        let folder = user.folder.clone();
        let welcome = Welcome {
            folder: folder.path().display().to_string(),
        };
        (Self { folder }, welcome)
    }

    #[allow_upload(
        "files",
        accept = ["image/*", "audio/*", "video/*", ".pdf", ".txt", ".md", ".zip"],
        max_entries = 20,
        max_file_size = 100_000_000,
        detach = 300s,
        auto_upload
    )]
    fn files(&mut self) -> TempFile {
        self.folder.incoming()
    }

    #[handle_upload("files")]
    async fn store(
        &mut self,
        file: StoredFile,
        entry: &UploadEntry,
        socket: &Socket<Self>,
    ) -> Result<(), Refusal> {
        let kept = self.folder.keep(&file, entry).await.map_err(refusal)?;
        let stored = Stored {
            entry_ref: entry.entry_ref().to_owned(),
            url: kept.url,
            is_image: kept.is_image,
        };
        // The file is there, even if the page does not get the push.
        if let Err(error) = socket.push(&stored) {
            eprintln!("uploads: a page does not hear of its file: {error}");
        }
        Ok(())
    }
}

fn refusal(error: NotKept) -> Refusal {
    match error {
        NotKept::NoImage => Refusal::new("not_what_it_says"),
        NotKept::Io(error) => {
            eprintln!("uploads: a file cannot be kept: {error}");
            Refusal::new("not_kept")
        }
    }
}

#[cfg(test)]
mod tests;
