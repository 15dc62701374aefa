//! The files of an upload, as a channel's handlers see them.

use std::{fmt, marker::PhantomData, sync::Arc};

use serde_json::Value;
use thiserror::Error as ThisError;

use super::{
    IntoDestination, UploadEntry, Uploadable, channel_uploads::ChannelUploads,
    destination::Finished, dispatch::TakesUploads, entries::NotTaken,
};
use crate::{channel::Context, protocol::Refusal};

/// The files of one upload of a channel. A handler borrows it as `photos: &Uploads<TempFile>`: the
/// parameter has the upload's name, and the type that its `#[allow_upload]` returns.
///
/// Mirrors `uploaded_entries/2`, `consume_uploaded_entries/3`, `cancel_upload/3` and
/// `upload_errors/1`.
///
/// ```
/// # use channel_runtime::{prelude::*, upload::{TempFile, Uploads}};
/// # pub struct Album;
/// #[channel("album:*")]
/// impl Album {
///     #[join]
///     fn join() -> Self { Album }
///
///     #[allow_upload("photos", accept = ["image/*"], max_entries = 10)]
///     fn photos(&mut self) -> TempFile { TempFile::new() }
///
///     #[handle_in("save")]
///     async fn save(&mut self, photos: &Uploads<TempFile>) -> Reply<usize> {
///         let photos = photos.take_all()?;
///         for photo in &photos {
///             println!("{} is at {}", photo.entry().client_name(), photo.file().path().display());
///         }
///         Ok(photos.len())
///     }
/// }
/// ```
pub struct Uploads<P: Uploadable> {
    owner: Option<Arc<ChannelUploads>>,
    upload: usize,
    place: PhantomData<fn() -> P>,
}

/// The reason why a file cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum UploadError {
    /// No entry has this ref.
    #[error("there is no such entry")]
    Unknown,
    /// Its bytes are incomplete, or it has failed.
    #[error("the upload is not done")]
    NotDone,
    /// The writer's `meta` panicked.
    #[error("the writer cannot say what it wrote")]
    Writer,
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        Refusal::new(error.to_string())
    }
}

impl From<NotTaken> for UploadError {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Unknown => UploadError::Unknown,
            NotTaken::NotDone => UploadError::NotDone,
        }
    }
}

impl<P: Uploadable> Uploads<P> {
    /// Returns all chosen files, in their order, as they are now.
    pub fn entries(&self) -> Vec<UploadEntry> {
        self.with(|owner| owner.with(self.upload, |files| files.entries().cloned().collect()))
    }

    /// Returns the errors: the ref of an entry, or of the upload, with the reason. Mirrors
    /// `upload_errors/1` and `/2`.
    pub fn errors(&self) -> Vec<(String, Value)> {
        self.with(|owner| {
            owner.with(self.upload, |files| {
                let errors = files.errors().into_iter();
                errors
                    .map(|(about, reason)| (about.to_owned(), reason))
                    .collect()
            })
        })
    }

    /// Takes the finished file of one entry. Mirrors `consume_uploaded_entry/3`.
    ///
    /// # Errors
    ///
    /// Returns an [`UploadError`] if the file cannot be taken.
    pub fn take(&self, entry_ref: &str) -> Result<Uploaded<P>, UploadError> {
        let owner = self.owner.as_ref().ok_or(UploadError::Unknown)?;
        let (entry, finished) = owner.take(self.upload, entry_ref)?;
        let file = finished
            .meta()
            .ok()
            .and_then(|file| file.downcast::<P::File>().ok());
        let Some(file) = file else {
            owner.refuse(self.upload, &entry, &Refusal::new("writer_failure"));
            return Err(UploadError::Writer);
        };
        let (owner, upload) = (owner.clone(), self.upload);
        Ok(Uploaded {
            owner,
            upload,
            entry,
            file: *file,
            finished: Some(finished),
        })
    }

    /// Takes all files, in the order in which they were chosen. Mirrors
    /// `consume_uploaded_entries/3`.
    ///
    /// # Errors
    ///
    /// Returns [`UploadError::NotDone`] if one is unfinished or has failed; then no file is taken.
    pub fn take_all(&self) -> Result<Vec<Uploaded<P>>, UploadError> {
        let complete = self.with(|owner| owner.with(self.upload, |files| files.is_complete()));
        match complete {
            true => self.take_finished(),
            false => Err(UploadError::NotDone),
        }
    }

    /// Takes the finished files alone, in the order of [`Uploads::take_all`].
    ///
    /// # Errors
    ///
    /// Returns [`UploadError::Writer`] if one cannot be read; the others stay where they are.
    pub fn take_finished(&self) -> Result<Vec<Uploaded<P>>, UploadError> {
        let finished = self.with(|owner| owner.with(self.upload, |files| files.finished()));
        let mut taken = Vec::with_capacity(finished.len());
        for entry_ref in finished {
            match self.take(&entry_ref) {
                Ok(file) => taken.push(file),
                Err(UploadError::Writer) => {
                    taken.into_iter().for_each(Uploaded::postpone);
                    return Err(UploadError::Writer);
                }
                // Its client has moved it elsewhere by now.
                Err(UploadError::Unknown | UploadError::NotDone) => {}
            }
        }
        Ok(taken)
    }

    /// Removes an entry, whatever its state: its channel is closed and its bytes are discarded.
    /// Returns true if there was one. Mirrors `cancel_upload/3`.
    pub fn cancel(&self, entry_ref: &str) -> bool {
        let owner = self.owner.as_ref();
        owner.is_some_and(|owner| owner.cancel(self.upload, entry_ref))
    }

    fn with<R: Default>(&self, read: impl FnOnce(&ChannelUploads) -> Option<R>) -> R {
        self.owner.as_deref().and_then(read).unwrap_or_default()
    }
}

impl<P: Uploadable> fmt::Debug for Uploads<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Uploads").field(&self.entries()).finish()
    }
}

/// A file that a handler has taken. Dropping it consumes it: its entry is removed, with whatever
/// the handler has not kept of the file.
pub struct Uploaded<P: Uploadable> {
    owner: Arc<ChannelUploads>,
    upload: usize,
    entry: UploadEntry,
    file: P::File,
    finished: Option<Finished>,
}

impl<P: Uploadable> Uploaded<P> {
    /// Returns the client's description of it.
    pub fn entry(&self) -> &UploadEntry {
        &self.entry
    }

    /// Returns the value of its writer.
    pub fn file(&self) -> &P::File {
        &self.file
    }

    /// Gives it back, to be taken again. Phoenix: `{:postpone, value}`.
    pub fn postpone(mut self) {
        if let Some(finished) = self.finished.take() {
            self.owner
                .postpone(self.upload, self.entry.uuid(), finished);
        }
    }
}

impl<P: Uploadable> Drop for Uploaded<P> {
    fn drop(&mut self) {
        if self.finished.is_some() {
            self.owner.consume(self.upload, self.entry.uuid());
        }
    }
}

impl<P: Uploadable> fmt::Debug for Uploaded<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Uploaded").field(&self.entry).finish()
    }
}

/// A type that `#[allow_upload]` can return, as the parameter of a `&Uploads<…>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are not the files of this upload",
    label = "not where its `#[allow_upload]` puts them",
    note = "it is `Uploads<W>` of the writer that `#[allow_upload]` returns"
)]
pub trait UploadsOf<D>: Sized {
    /// Returns the upload's files.
    fn of<C: TakesUploads, R>(cx: &Context<'_, C, R>, upload: &str) -> Self;
}

impl<D: IntoDestination<Place = P>, P: Uploadable> UploadsOf<D> for Uploads<P> {
    fn of<C: TakesUploads, R>(cx: &Context<'_, C, R>, upload: &str) -> Self {
        let position = C::UPLOADS.iter().position(|spec| spec.name() == upload);
        Uploads {
            owner: cx.socket().extension().get().cloned(),
            // An undeclared upload has no files.
            upload: position.unwrap_or(usize::MAX),
            place: PhantomData,
        }
    }
}

/// The type of a by-value parameter of a `#[handle_upload]`, matched with the type that the
/// upload's `#[allow_upload]` returns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what this upload's writer gives",
    label = "not the file",
    note = "it is the `Meta` of the writer that `#[allow_upload]` returns"
)]
pub trait FileOf<D>: Sized {
    /// Converts the file.
    fn read(file: Box<dyn std::any::Any + Send>) -> Option<Self>;
}

impl<D: IntoDestination, T: Send + 'static> FileOf<D> for T
where
    D::Place: Uploadable<File = T>,
{
    fn read(file: Box<dyn std::any::Any + Send>) -> Option<Self> {
        file.downcast().ok().map(|file| *file)
    }
}
