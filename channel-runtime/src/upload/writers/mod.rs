//! The writers that come with the crate.

mod temp_file;

pub use self::temp_file::{StoredFile, TempFile};
