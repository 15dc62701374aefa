//! The writers, over real files, processes and disks.

mod adapters;
mod full_disk;
mod support;
mod sweep;
mod temp_file;
