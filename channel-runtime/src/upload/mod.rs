#![doc = include_str!("../docs/upload.md")]

mod channel;
mod channel_uploads;
mod destination;
mod dispatch;
mod end;
mod entries;
mod entry;
mod grant;
mod handle;
mod open;
mod options;
mod preflight;
mod registry;
mod selection;
mod spec;
mod telemetry;
mod writer;
mod writers;

/// The crate that [`ObjectStore`] writes with.
#[cfg(feature = "object-store")]
pub use ::object_store;

#[cfg(feature = "upload-magic")]
pub use self::writers::{Detected, MagicBytes};
#[cfg(feature = "upload-hash")]
pub use self::writers::{Hash, Hashed};
#[cfg(feature = "object-store")]
pub use self::writers::{ObjectStore, StoredObject};
pub use self::{
    channel::UploadChannel,
    destination::{Destination, External, IntoDestination, Uploadable},
    dispatch::{
        Consumed, IntoConsumed, IntoValidity, TakesUploads, UploadsExtension, handle_in, is_event,
    },
    entry::UploadEntry,
    handle::{FileOf, UploadError, Uploaded, Uploads, UploadsOf},
    options::UploadOptions,
    spec::{Accept, UploadSpec},
    writer::{CloseReason, Paused, UploadWriter, WriterError},
    writers::{Count, Counts, Discard, RateLimit, RateLimiter, StoredFile, TempFile},
};
