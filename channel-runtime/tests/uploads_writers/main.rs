//! The writers, over real files, processes and disks.
#![allow(clippy::unwrap_used)]

mod adapters;
mod full_disk;
mod support;
mod sweep;
mod temp_file;
