//! The socket: one for each open page.

use channel_runtime::{prelude::*, upload::UploadChannel};

use crate::{folder::Folder, harbour::Harbour};

/// An open page.
pub(crate) struct UserSocket {
    pub(crate) folder: Folder,
}

// `UploadChannel` receives the bytes of the files.
#[socket(channels = [Harbour, UploadChannel])]
impl UserSocket {
    #[connect]
    fn connect(extensions: &Extensions) -> Option<Self> {
        let folder = extensions.get::<Folder>()?.clone();
        Some(Self { folder })
    }
}
