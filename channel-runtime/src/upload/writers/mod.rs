//! The writers that come with the crate.

mod count;
mod discard;
#[cfg(feature = "uploads-hash")]
mod hash;
#[cfg(feature = "uploads-magic")]
mod magic_bytes;
mod rate_limit;
mod temp_file;

#[cfg(feature = "uploads-hash")]
pub use self::hash::{Hash, Hashed};
#[cfg(feature = "uploads-magic")]
pub use self::magic_bytes::{Detected, MagicBytes};
pub use self::{
    count::{Count, Counts},
    discard::Discard,
    rate_limit::{RateLimit, RateLimiter},
    temp_file::{StoredFile, TempFile},
};
