//! The destination of a file: a writer here, or another place.

use std::{any::Any, fmt};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::{
    UploadEntry, UploadWriter, WriterError,
    grant::Ticket,
    writer::{AnyWriter, Guarded},
};
use crate::protocol::Refusal;

/// The destination of one file.
pub struct Destination(pub(super) Place);

pub(super) enum Place {
    Writer(Box<dyn AnyWriter>),
    /// The writer of a broken upload, or this one if there is none to resume.
    Resumed(Ticket, Box<dyn AnyWriter>),
    External(External),
}

/// A complete file, as a handler can take it.
pub(super) enum Finished {
    Writer(Box<dyn AnyWriter>),
    External(External),
}

impl Destination {
    /// Resumes a broken upload if it still exists when the client sends the file.
    pub(super) fn resuming(self, broken: Option<Ticket>) -> Self {
        match (self.0, broken) {
            (Place::Writer(writer), Some(broken)) => Destination(Place::Resumed(broken, writer)),
            (place, _) => Destination(place),
        }
    }
}

impl Finished {
    /// Returns the value for the handler: the `Meta` of the writer's own type, or the [`External`].
    pub(super) fn meta(&self) -> Result<Box<dyn Any + Send>, WriterError> {
        match self {
            Finished::Writer(writer) => writer.meta(),
            Finished::External(external) => Ok(Box::new(external.without_verify())),
        }
    }
}

/// A file that the client sends somewhere else, such as to a presigned address of S3. An
/// `#[allow_upload]` returns it instead of a writer. Mirrors the `:external` option.
///
/// The client gets the fields and hands them to its uploader of that name. A channel's
/// `#[handle_upload]` gets them when the client reports that the file is complete. That is the
/// client's word alone, so add an [`External::verify`].
///
/// ```
/// # use channel_runtime::{Refusal, upload::{External, UploadEntry}};
/// # fn presign(_: &str) -> String { String::new() }
/// # async fn size_of(_: &str) -> u64 { 0 }
/// fn photo(entry: &UploadEntry) -> External {
///     let key = format!("photos/{}", entry.uuid());
///     External::new("S3")
///         .with("url", presign(&key))
///         .with("key", key.clone())
///         .verify(async move |entry: UploadEntry| match size_of(&key).await {
///             size if size == entry.client_size() => Ok(()),
///             _ => Err(Refusal::new("incomplete")),
///         })
/// }
/// ```
pub struct External {
    fields: Map<String, Value>,
    verify: Option<Verify>,
}

type Verify = Box<dyn FnOnce(UploadEntry) -> BoxFuture<'static, Result<(), Refusal>> + Send>;

impl External {
    /// Creates a destination for the client's uploader of this name: `uploaders: {S3: …}` in
    /// JavaScript.
    pub fn new(uploader: impl Into<String>) -> Self {
        let fields = Map::from_iter([("uploader".to_owned(), Value::from(uploader.into()))]);
        External {
            fields,
            verify: None,
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
        self
    }

    /// Checks that the file has arrived, once the client reports it. A refusal becomes the error of
    /// the entry. Runs in a task of its own; one that never ends leaves the entry unfinished.
    #[must_use]
    pub fn verify<F, R>(mut self, verify: F) -> Self
    where
        F: FnOnce(UploadEntry) -> R + Send + 'static,
        R: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.verify = Some(Box::new(|entry| Box::pin(verify(entry))));
        self
    }

    /// Returns a field's value.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    pub(super) fn take_verify(&mut self) -> Option<Verify> {
        self.verify.take()
    }

    fn without_verify(&self) -> Self {
        External {
            fields: self.fields.clone(),
            verify: None,
        }
    }
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("External")
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// The value that handlers get for a finished file: the [`UploadWriter::Meta`] of a writer, or an
/// [`External`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no place to upload to",
    label = "neither a writer nor `External`",
    note = "an `#[allow_upload]` returns a type that implements `UploadWriter`, such as `TempFile`, or `External`"
)]
pub trait Uploadable: 'static {
    /// The value that a handler gets.
    type File: Send + 'static;
}

impl<W: UploadWriter> Uploadable for W {
    type File = W::Meta;
}

impl Uploadable for External {
    type File = External;
}

/// A value that an `#[allow_upload]` can return: a writer, an [`External`], or a `Result` of one
/// whose error becomes the entry's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no place to upload to",
    label = "an `#[allow_upload]` returns where the file goes",
    note = "return a type that implements `UploadWriter`, such as `TempFile`, an `External`, or a `Result` of these"
)]
pub trait IntoDestination {
    /// The writer, or [`External`].
    type Place: Uploadable;

    /// Makes the destination.
    ///
    /// # Errors
    ///
    /// Returns the refusal.
    fn into_destination(self) -> Result<Destination, Refusal>;
}

impl<W: UploadWriter> IntoDestination for W {
    type Place = W;

    fn into_destination(self) -> Result<Destination, Refusal> {
        Ok(Destination(Place::Writer(Box::new(Guarded::new(self)))))
    }
}

impl IntoDestination for External {
    type Place = External;

    fn into_destination(self) -> Result<Destination, Refusal> {
        Ok(Destination(Place::External(self)))
    }
}

impl<T: IntoDestination, E: Into<Refusal>> IntoDestination for Result<T, E> {
    type Place = T::Place;

    fn into_destination(self) -> Result<Destination, Refusal> {
        self.map_err(Into::into)?.into_destination()
    }
}
