//! The writers that come with the crate.

mod count;
mod discard;
#[cfg(feature = "upload-hash")]
mod hash;
#[cfg(feature = "upload-magic")]
mod magic_bytes;
#[cfg(feature = "object-store")]
mod object_store;
mod rate_limit;
mod temp_file;

#[cfg(feature = "upload-hash")]
pub use self::hash::{Hash, Hashed};
#[cfg(feature = "upload-magic")]
pub use self::magic_bytes::{Detected, MagicBytes};
#[cfg(feature = "object-store")]
pub use self::object_store::{ObjectStore, StoredObject};
pub use self::{
    count::{Count, Counts},
    discard::Discard,
    rate_limit::{RateLimit, RateLimiter},
    temp_file::{StoredFile, TempFile},
};
