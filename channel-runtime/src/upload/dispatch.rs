//! Passes the client's messages and the files' notices to the channel's handlers.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use super::{
    Destination, UploadEntry, UploadSpec,
    channel_uploads::{ChannelUploads, Notice},
    end::End,
    open::OpenUploads,
    preflight::{allow_upload, broken_off, named, validate},
    registry::give_up,
    selection::{Cancel, Progress},
};
use crate::telemetry::shown;
use crate::{
    channel::{
        Answer, Channel, ChannelExtension, Context, Contexts, HandlerFuture, NoReply, Provide,
        ServerMessage, Socket, role,
    },
    endpoint::Endpoint,
    error::ConfigError,
    options::SocketOptions,
    protocol::{Payload, Refusal},
};

/// The events that the library handles in a channel that has uploads.
const EVENTS: [&str; 4] = [
    "allow_upload",
    "progress",
    "upload_validate",
    "upload_cancel",
];

/// The largest size, in bytes, of a client's cause for the failure of an external upload.
const MOST_CAUSE: usize = 1024;

/// A channel with uploads; `#[channel]` implements it. The context of each handler has the entry that
/// it is about.
pub trait TakesUploads: Channel<Extension = UploadsExtension> {
    /// The uploads it takes.
    const UPLOADS: &'static [UploadSpec];

    /// Returns the destination of a file.
    fn destination<'a>(
        &'a mut self,
        cx: &'a Context<'a, Self, role::allow_upload>,
    ) -> HandlerFuture<'a, Result<Destination, Refusal>>;

    /// Validates a file, and may refuse it.
    fn validate<'a>(
        &'a mut self,
        cx: &'a Context<'a, Self, role::validate_upload>,
    ) -> HandlerFuture<'a, Result<(), Refusal>>;

    /// Takes a complete file.
    fn uploaded<'a>(
        &'a mut self,
        cx: &'a Context<'a, Self, role::handle_upload>,
        file: Box<dyn Any + Send>,
    ) -> HandlerFuture<'a, Consumed>;

    /// Handles the progress of a file.
    fn progressed<'a>(
        &'a mut self,
        cx: &'a Context<'a, Self, role::handle_progress>,
    ) -> HandlerFuture<'a, NoReply>;
}

macro_rules! about_an_entry {
    ($($role:ident)*) => {$(
        impl<C: Channel> Context<'_, C, role::$role> {
            /// The name of the entry's upload.
            pub fn upload(&self) -> &'static str {
                self.subject::<UploadEntry>().map_or("", UploadEntry::upload)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<C: TakesUploads> Provide<UploadEntry, C, role::$role>
            for Context<'_, C, role::$role>
        {
            fn provide(&self) -> &UploadEntry {
                // Handlers of these roles are run by this room alone, with an entry each time.
                self.subject().unwrap_or_else(|| unreachable!("a handler of no upload"))
            }
        }
    )*};
}

about_an_entry! { allow_upload validate_upload handle_upload handle_progress }

/// The outcome of a file that a `#[handle_upload]` was given.
#[derive(Clone, Debug, PartialEq)]
pub enum Consumed {
    /// It was kept, moved or read: its entry is removed. A handler that returns `()` means this.
    /// Phoenix: `{:ok, value}`.
    Yes,
    /// It stays, for [`Uploads`](super::Uploads) to take later. Phoenix: `{:postpone, value}`.
    Postponed,
    /// It is refused: the file is removed, the entry stays with this error.
    Refused(Refusal),
}

/// A value that a `#[handle_upload]` can return: `()`, a [`Consumed`], or a `Result` of one whose
/// error becomes the entry's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what becomes of the file",
    label = "a `#[handle_upload]` returns nothing, or what becomes of the file",
    note = "return `()`, `Consumed`, or a `Result` of these whose error becomes a `Refusal`"
)]
pub trait IntoConsumed {
    /// Converts it.
    fn into_consumed(self) -> Consumed;
}

impl IntoConsumed for () {
    fn into_consumed(self) -> Consumed {
        Consumed::Yes
    }
}

impl IntoConsumed for Consumed {
    fn into_consumed(self) -> Consumed {
        self
    }
}

impl<T: IntoConsumed, E: Into<Refusal>> IntoConsumed for Result<T, E> {
    fn into_consumed(self) -> Consumed {
        match self {
            Ok(consumed) => consumed.into_consumed(),
            Err(error) => Consumed::Refused(error.into()),
        }
    }
}

/// A value that a `#[validate_upload]` can return: `()`, or a `Result` whose error becomes the
/// entry's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether the file may come",
    label = "a `#[validate_upload]` returns `Result<(), Refusal>`",
    note = "return `Result<(), Refusal>`"
)]
pub trait IntoValidity {
    /// Converts it.
    ///
    /// # Errors
    ///
    /// Returns the refusal.
    fn into_validity(self) -> Result<(), Refusal>;
}

impl<E: Into<Refusal>> IntoValidity for Result<(), E> {
    fn into_validity(self) -> Result<(), Refusal> {
        self.map_err(Into::into)
    }
}

/// The uploads of a channel, from its join on: the [`Channel::Extension`] of a channel that takes
/// uploads.
#[derive(Default)]
pub struct UploadsExtension(OnceLock<Arc<ChannelUploads>>);

impl UploadsExtension {
    pub(super) fn get(&self) -> Option<&Arc<ChannelUploads>> {
        self.0.get()
    }
}

impl<C: TakesUploads> ChannelExtension<C> for UploadsExtension {
    const TAKES_UPLOADS: bool = true;

    fn check(options: &SocketOptions) -> Result<(), ConfigError> {
        C::UPLOADS
            .iter()
            .try_for_each(|upload| upload.check(options))
    }

    fn open_files(endpoint: &Endpoint) -> usize {
        endpoint.extension::<OpenUploads>().total()
    }

    fn joined(socket: &Socket<C>) {
        let mailbox = socket.channel_ref().clone();
        socket.extension().0.get_or_init(|| {
            ChannelUploads::begin(
                (socket.topic().clone(), socket.join_ref().clone()),
                socket.client().clone(),
                socket.endpoint().clone(),
                C::UPLOADS,
                Box::new(move |notice| mailbox.push_final(notice)),
            )
        });
    }

    fn ended(&self, gone: bool) {
        if let Some(owner) = self.0.get() {
            owner.end(gone);
        }
    }
}

/// Returns true if the library handles an event in a channel that has uploads.
pub fn is_event(event: &str) -> bool {
    EVENTS.contains(&event)
}

/// Handles one of these events.
pub fn handle_in<'a, C: TakesUploads>(
    channel: &'a mut C,
    cx: &'a Context<'a, C, role::handle_in>,
    payload: Payload,
) -> HandlerFuture<'a, Answer> {
    let socket = cx.socket();
    let Some(owner) = socket.extension().get() else {
        return HandlerFuture::ready(Answer::unknown_event());
    };
    let answered = match cx.event() {
        "allow_upload" => {
            return HandlerFuture::pending(async move {
                match allow_upload(channel, socket, owner, &payload).await {
                    Ok(reply) => Answer::ok(reply),
                    Err(refusal) => Answer::refuse(refusal),
                }
            });
        }
        "upload_validate" => {
            return HandlerFuture::pending(async move {
                match validate(channel, socket, owner, &payload).await {
                    Ok(()) => Answer::ok(()),
                    Err(refusal) => Answer::refuse(refusal),
                }
            });
        }
        "upload_cancel" => cancel(owner, &payload),
        _ => progress(owner, &payload),
    };
    HandlerFuture::ready(match answered {
        Ok(()) => Answer::ok(()),
        Err(refusal) => Answer::refuse(refusal),
    })
}

/// Cancels a file by its ref, if it is listed, or by its token, wherever it is.
fn cancel(owner: &ChannelUploads, payload: &Payload) -> Result<(), Refusal> {
    let Cancel {
        upload_ref,
        entry_ref,
        token,
    } = payload.decode()?;
    let upload = named(owner, &upload_ref)?;
    let begun = broken_off(owner, token.as_deref());
    let was_listed = entry_ref
        .as_deref()
        .is_some_and(|entry_ref| owner.cancel(upload, entry_ref));
    let name = owner.with(upload, |files| files.spec().name());
    let was_begun = begun
        .zip(name)
        .is_some_and(|(ticket, name)| give_up(owner.endpoint(), ticket, owner.topic(), name));
    match was_listed || was_begun {
        true => Ok(()),
        false => Err(Refusal::new("unknown entry").with("entry_ref", entry_ref)),
    }
}

/// Returns true if a client's cause for a failure can be kept and shown.
fn is_cause(why: &Value) -> bool {
    match why {
        Value::Null => false,
        Value::String(word) => word.len() <= MOST_CAUSE,
        why => why.to_string().len() <= MOST_CAUSE,
    }
}

/// Handles a client's progress message. Its figure counts only for files sent elsewhere; for any
/// other file the message just asks for the state.
fn progress(owner: &Arc<ChannelUploads>, payload: &Payload) -> Result<(), Refusal> {
    let Progress {
        upload_ref,
        entry_ref,
        progress,
    } = payload.decode()?;
    let upload = named(owner, &upload_ref)?;
    // A longer one is neither a number nor a cause that could be kept.
    let progress: Value = match progress.get() {
        text if text.len() <= 2 * MOST_CAUSE => serde_json::from_str(text).unwrap_or_default(),
        _ => Value::Null,
    };
    match progress.as_u64() {
        Some(100) => owner.verify(upload, &entry_ref),
        Some(percent) => {
            let percent = percent.min(99) as u8;
            let tell = owner.with(upload, |files| files.advance_external(&entry_ref, percent));
            if tell == Some(true) {
                owner.tell_progress(upload, &entry_ref);
            }
        }
        None => {
            let why = progress.get("error").filter(|why| is_cause(why));
            owner.give_up_external(upload, &entry_ref, &End::Elsewhere(why));
        }
    }
    owner.refresh_progress(upload);
    Ok(())
}

impl<C: TakesUploads> ServerMessage<C> for Notice {
    fn run<'a>(
        self: Box<Self>,
        channel: &'a mut C,
        cx: &'a Contexts<'a, C>,
    ) -> HandlerFuture<'a, NoReply> {
        let socket = cx.info.socket();
        let Some(owner) = socket.extension().get() else {
            return HandlerFuture::ready(NoReply::CONTINUE);
        };
        match *self {
            Notice::Progress { upload, entry_ref } => HandlerFuture::pending(async move {
                let entry = owner.with(upload, |files| files.told(&entry_ref)).flatten();
                let Some(entry) = entry else {
                    return NoReply::CONTINUE;
                };
                channel
                    .progressed(&Context::about(socket, &entry))
                    .run()
                    .await
            }),
            Notice::Ended { entry } => HandlerFuture::pending(async move {
                channel
                    .progressed(&Context::about(socket, &entry))
                    .run()
                    .await
            }),
            Notice::Done { upload, entry_ref } => HandlerFuture::pending(async move {
                hand_over(channel, socket, owner, upload, &entry_ref).await;
                NoReply::CONTINUE
            }),
        }
    }
}

/// Gives a complete file to its handler. Skips one that is gone by now, or that another handler has
/// taken.
async fn hand_over<C: TakesUploads>(
    channel: &mut C,
    socket: &Socket<C>,
    owner: &ChannelUploads,
    upload: usize,
    entry_ref: &str,
) {
    let Ok((entry, finished)) = owner.take(upload, entry_ref) else {
        return;
    };
    let file = match finished.meta() {
        Ok(file) => file,
        Err(error) => {
            tracing::error!(error = %shown(&error), upload = entry.upload(), "a writer cannot say what it wrote");
            return owner.refuse(upload, &entry, &Refusal::new("writer_failure"));
        }
    };
    let cx = Context::about(socket, &entry);
    match channel.uploaded(&cx, file).run().await {
        Consumed::Yes => owner.consume(upload, entry.uuid()),
        Consumed::Postponed => owner.postpone(upload, entry.uuid(), finished),
        Consumed::Refused(refusal) => owner.refuse(upload, &entry, &refusal),
    }
}
