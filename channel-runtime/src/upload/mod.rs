//! Uploads.

mod entry;
mod selection;
mod spec;
mod writer;
mod writers;

pub use self::{
    entry::UploadEntry,
    spec::{Accept, UploadSpec},
    writer::{CloseReason, UploadWriter, WriterError},
};
