//! The writers that come with the crate, and those that wrap another.
