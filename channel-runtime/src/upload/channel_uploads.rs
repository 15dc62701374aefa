//! The uploads of one channel, shared between it and the channels that receive its files.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::Value;
use uuid::Uuid;

use super::{
    UploadChannel, UploadEntry, UploadSpec, WriterError,
    destination::{Destination, External, Finished, Place},
    end::End,
    entries::{Begun, Entries, Left, NotBegun, NotTaken, RemovedEntry},
    grant::{Grant, Ticket},
    registry::{Detached, Source, keep},
    selection::ClientEntry,
};
use crate::telemetry::{line, shown};
use crate::{
    channel::{ChannelRef, Stop},
    connection::{ClientSender, Outbox},
    endpoint::Endpoint,
    protocol::{Payload, Refusal, Term, Topic},
    telemetry::panic_message,
};

/// The handle of the channel that receives a file.
pub(super) struct Link {
    channel: ChannelRef<UploadChannel>,
    /// True if its client can resume the upload after a break.
    resumable: bool,
}

impl Link {
    pub(super) fn new(channel: ChannelRef<UploadChannel>, resumable: bool) -> Self {
        Link { channel, resumable }
    }

    pub(super) fn stop(self) {
        self.channel.stop(Stop::normal());
    }
}

type Files = Entries<Destination, Finished, Link>;

/// The notices to the owner's task.
#[derive(Clone, Debug)]
pub(super) enum Notice {
    /// A file is complete.
    Done { upload: usize, entry_ref: String },
    /// A file has come further.
    Progress { upload: usize, entry_ref: String },
    /// A file has ended, and may be listed no more: this is how it was, with the error.
    Ended { entry: UploadEntry },
}

/// The uploads of one channel.
///
/// Every change of a file is recorded here under a lock, and the client is told under the same
/// lock, so what it is told is in order. The channel itself may be busy meanwhile.
pub(crate) struct ChannelUploads {
    id: Uuid,
    topic: Topic,
    join_ref: Term,
    client: ClientSender,
    endpoint: Endpoint,
    uploads: Mutex<Vec<Files>>,
    notify: Box<dyn Fn(Notice) + Send + Sync>,
}

impl ChannelUploads {
    /// Starts the uploads of a channel that has been joined, and tells its client of them.
    pub(super) fn begin(
        (topic, join_ref): (Topic, Term),
        client: ClientSender,
        endpoint: Endpoint,
        specs: &'static [UploadSpec],
        notify: Box<dyn Fn(Notice) + Send + Sync>,
    ) -> Arc<Self> {
        let owner = Arc::new(ChannelUploads {
            id: Uuid::new_v4(),
            topic,
            join_ref,
            client,
            endpoint,
            uploads: Mutex::new(specs.iter().map(Files::new).collect()),
            notify,
        });
        owner.endpoint.uploads().add(owner.id, &owner);
        let mut files = owner.uploads.lock();
        files.iter_mut().for_each(|files| owner.show(files));
        drop(files);
        owner
    }

    /// Returns true if the channel's client is the one behind this connection.
    pub(super) fn is_of(&self, outbox: &Arc<Outbox>) -> bool {
        Arc::ptr_eq(self.client.outbox(), outbox)
    }

    pub(super) fn topic(&self) -> &Topic {
        &self.topic
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the upload with this ref.
    pub(super) fn named(&self, upload_ref: &str) -> Option<usize> {
        let uploads = self.uploads.lock();
        uploads
            .iter()
            .position(|files| files.upload_ref() == upload_ref)
    }

    /// Reads or changes an upload's files. Changes are shown with [`ChannelUploads::change`].
    pub(super) fn with<R>(&self, upload: usize, read: impl FnOnce(&mut Files) -> R) -> Option<R> {
        self.uploads.lock().get_mut(upload).map(read)
    }

    /// Changes an upload's files and sends their state to the client.
    pub(super) fn change<R>(
        &self,
        upload: usize,
        change: impl FnOnce(&mut Files) -> R,
    ) -> Option<R> {
        let mut uploads = self.uploads.lock();
        let files = uploads.get_mut(upload)?;
        let result = change(files);
        self.show(files);
        Some(result)
    }

    /// Records the files that a client has chosen. If one has replaced another, the page is told of
    /// that end at once.
    pub(super) fn select(
        &self,
        upload: usize,
        chosen: Vec<ClientEntry>,
    ) -> Option<(Vec<UploadEntry>, Option<RemovedEntry<Link>>)> {
        let mut uploads = self.uploads.lock();
        let files = uploads.get_mut(upload)?;
        let (valid, replaced) = files.select(chosen);
        if replaced.is_some() {
            self.show(files);
        }
        Some((valid, replaced))
    }

    /// Sends the state of an upload's files to the client if it differs from the last one sent.
    pub(super) fn refresh(&self, upload: usize) {
        self.change(upload, |_| ());
    }

    /// Does the same if a file's progress has grown since the last state sent.
    pub(super) fn refresh_progress(&self, upload: usize) {
        let mut uploads = self.uploads.lock();
        if let Some(files) = uploads.get_mut(upload).filter(|files| files.is_stale()) {
            self.show(files);
        }
    }

    fn show(&self, files: &mut Files) {
        let pushed = Payload::json(&files.state()).and_then(|state| {
            if !files.is_news(state.as_json().unwrap_or_default()) {
                return Ok(());
            }
            let topic = self.topic.as_str();
            self.client
                .push(&self.join_ref, topic, "upload_state", &state)
        });
        if let Err(error) = pushed {
            tracing::error!(error = %shown(&error), topic = %shown(&self.topic), "the state of an upload cannot be sent");
        }
    }

    /// Returns a token for one file.
    pub(super) fn token(
        &self,
        upload: usize,
        entry: Uuid,
        resumes: Option<Ticket>,
    ) -> Result<String, crate::token::SealError> {
        let owner = self.id;
        let ticket = Ticket {
            owner,
            upload,
            entry,
        };
        let grant = Grant { ticket, resumes };
        self.endpoint.token(Grant::SALT).sign(&grant)
    }

    pub(super) fn start(
        &self,
        ticket: Ticket,
        link: Link,
    ) -> Result<(Begun<Destination>, &'static UploadSpec), NotBegun> {
        let start = |files: &mut Files| Ok((files.begin(ticket.entry, link)?, files.spec()));
        self.with(ticket.upload, start)
            .unwrap_or(Err(NotBegun::Disallowed))
    }

    pub(super) fn advance(&self, ticket: Ticket, entry: &UploadEntry, received: u64) {
        let tell = self.with(ticket.upload, |files| files.advance(ticket.entry, received));
        if tell == Some(true) {
            self.tell_progress(ticket.upload, entry.entry_ref());
        }
    }

    pub(super) fn tell_progress(&self, upload: usize, entry_ref: &str) {
        let entry_ref = entry_ref.to_owned();
        (self.notify)(Notice::Progress { upload, entry_ref });
    }

    /// Completes a file. Returns it if it is no longer wanted.
    pub(super) fn finish(
        &self,
        ticket: Ticket,
        entry: &UploadEntry,
        file: Finished,
    ) -> Result<(), Finished> {
        let mut uploads = self.uploads.lock();
        let Some(files) = uploads.get_mut(ticket.upload) else {
            return Err(file);
        };
        files.finish(ticket.entry, file)?;
        self.show(files);
        let (upload, by_hand) = (ticket.upload, files.spec().by_hand);
        drop(uploads);
        self.tell_progress(upload, entry.entry_ref());
        if !by_hand {
            let entry_ref = entry.entry_ref().to_owned();
            (self.notify)(Notice::Done { upload, entry_ref });
        }
        Ok(())
    }

    /// Fails a file whose writer has failed: it stays listed, with the error.
    pub(super) fn writer_failed(&self, ticket: Ticket, entry: &UploadEntry, error: &WriterError) {
        tracing::warn!(
            error = %shown(&error), topic = %shown(&self.topic), upload = entry.upload(), "an upload's writer has failed"
        );
        self.fail(ticket, &End::Writer(error));
    }

    /// Fails a file that cannot be received: it stays listed, with the error.
    pub(super) fn fail(&self, ticket: Ticket, end: &End<'_>) {
        let failed = self.change(ticket.upload, |files| files.fail(ticket.entry, end));
        self.endpoint.uploads().detach(ticket.entry);
        if let Some(gone) = failed.flatten() {
            self.forget(gone);
        }
    }

    /// Ends an external file that the client gives up.
    pub(super) fn give_up_external(&self, upload: usize, entry_ref: &str, end: &End<'_>) {
        let ended = self.change(upload, |files| files.give_up(entry_ref, end.reason()));
        if let Some(entry) = ended.flatten() {
            (self.notify)(Notice::Ended { entry });
        }
    }

    /// Ends a file whose channel has ended before the file was complete.
    pub(super) fn dropped(&self, ticket: Ticket, end: Option<&End<'_>>) {
        let gone = self.change(ticket.upload, |files| files.drop_running(ticket.entry, end));
        if let Some(entry) = gone.flatten().and_then(|gone| gone.ended) {
            (self.notify)(Notice::Ended { entry });
        }
    }

    /// Ends a file that was kept for its client and is no longer listed.
    pub(super) fn kept_ended(&self, upload: usize, mut entry: UploadEntry, end: &End<'_>) {
        if entry.set_error(end.reason()) {
            self.change(upload, |files| files.note_end(&entry));
            (self.notify)(Notice::Ended { entry });
        }
    }

    /// Removes a file, whatever its state. Returns true if there was one.
    pub(super) fn cancel(&self, upload: usize, entry_ref: &str) -> bool {
        let removed = self.with(upload, |files| {
            let uuid = files.uuid(entry_ref)?;
            let gone = files.remove(uuid, &End::Cancelled)?;
            self.show(files);
            Some(gone)
        });
        let forget = |gone| self.forget(gone);
        removed.flatten().map(forget).is_some()
    }

    /// Does the same by the file's ticket, if it is of this upload.
    pub(super) fn give_up(&self, ticket: Ticket, topic: &Topic, upload: &str) -> bool {
        let named = self.with(ticket.upload, |files| {
            let entry = files.entry(ticket.entry)?;
            (entry.upload() == upload).then(|| entry.entry_ref().to_owned())
        });
        let named = named.flatten().filter(|_| self.topic == *topic);
        named.is_some_and(|entry_ref| self.cancel(ticket.upload, &entry_ref))
    }

    /// A file that has ended, or was removed, is brought by no channel any more.
    pub(super) fn forget(&self, gone: RemovedEntry<Link>) {
        gone.link.into_iter().for_each(Link::stop);
        self.endpoint.uploads().detach(gone.uuid);
        if let Some(entry) = gone.ended {
            (self.notify)(Notice::Ended { entry });
        }
    }

    pub(super) fn take(
        &self,
        upload: usize,
        entry_ref: &str,
    ) -> Result<(UploadEntry, Finished), NotTaken> {
        let taken = self.with(upload, |files| files.take(entry_ref));
        taken.unwrap_or(Err(NotTaken::Unknown))
    }

    /// Removes the entry of a file that a handler has taken and keeps.
    pub(super) fn consume(&self, upload: usize, entry: Uuid) {
        let spec = self.with(upload, |files| files.spec());
        if let Some(time) = spec.and_then(UploadSpec::detach) {
            self.endpoint.uploads().mark_consumed(entry, time);
        }
        let link = self.change(upload, |files| files.consume(entry));
        link.flatten().into_iter().for_each(Link::stop);
    }

    pub(super) fn postpone(&self, upload: usize, entry: Uuid, file: Finished) {
        if self.with(upload, |files| files.postpone(entry, file)) == Some(false) {
            self.endpoint.uploads().detach(entry);
        }
    }

    /// Detaches a file whose channel is over: its client may resume it in another one, unless a
    /// handler has the file, or is about to get it, and has not decided yet.
    pub(super) fn detach(&self, ticket: Ticket) {
        let handed_over = self.with(ticket.upload, |files| files.unlink(ticket.entry));
        if handed_over != Some(true) {
            self.endpoint.uploads().detach(ticket.entry);
        }
    }

    /// Removes a file that a handler has taken and refused.
    pub(super) fn refuse(&self, upload: usize, entry: &UploadEntry, refusal: &Refusal) {
        let (owner, uuid) = (self.id, entry.uuid());
        let ticket = Ticket {
            owner,
            upload,
            entry: uuid,
        };
        self.fail(ticket, &End::Refused(refusal));
    }

    /// Verifies an external file that the client reports as complete.
    pub(super) fn verify(self: &Arc<Self>, upload: usize, entry_ref: &str) {
        let Some((entry, destination)) =
            self.with(upload, |files| files.verify(entry_ref)).flatten()
        else {
            return;
        };
        let Place::External(mut external) = destination.0 else {
            return;
        };
        let (owner, uuid) = (self.clone(), entry.uuid());
        let ticket = Ticket {
            owner: self.id,
            upload,
            entry: uuid,
        };
        let Some(verify) = external.take_verify() else {
            return owner.verified(ticket, &entry, external, Ok(()));
        };
        self.endpoint.tasks().spawn(async move {
            let asked = AssertUnwindSafe(async { verify(entry.clone()).await });
            let verified = asked.catch_unwind().await.unwrap_or_else(|panic| {
                let panic = panic_message(&*panic);
                tracing::error!(
                    panic = &*line(panic),
                    upload = entry.upload(),
                    "an upload's verify has panicked"
                );
                Err(Refusal::new("verify crashed"))
            });
            owner.verified(ticket, &entry, external, verified);
        });
    }

    fn verified(
        &self,
        ticket: Ticket,
        entry: &UploadEntry,
        external: External,
        verified: Result<(), Refusal>,
    ) {
        match verified {
            // One that is gone by now needs no end.
            Ok(()) => drop(self.finish(ticket, entry, Finished::External(external))),
            Err(refusal) => self.fail(ticket, &End::Refused(&refusal)),
        }
    }

    /// Returns the source of the ticket's file if it is finished and not taken.
    pub(super) fn finished(&self, ticket: Ticket) -> Option<Source> {
        self.with(ticket.upload, |files| {
            let entry = files.finished_entry(ticket.entry)?;
            Some(Source::new(&self.topic, entry))
        })
        .flatten()
    }

    /// Sets a complete file aside for a client that may come back for it.
    pub(super) fn detach_finished(&self, ticket: Ticket, entry: &UploadEntry) -> Option<Detached> {
        let file = self.change(ticket.upload, |files| files.detach(ticket.entry));
        self.detached(entry, file.flatten()?)
    }

    /// Leaves a finished file whose channel is over and whose connection is gone.
    pub(super) fn leave(&self, ticket: Ticket, entry: &UploadEntry) -> Left<Detached> {
        match self.with(ticket.upload, |files| files.leave(ticket.entry)) {
            Some(Left::ToHandler) => Left::ToHandler,
            Some(Left::ToClient(file)) => {
                let upload = self.detached(entry, file);
                upload.map_or(Left::Gone, Left::ToClient)
            }
            Some(Left::Gone) | None => Left::Gone,
        }
    }

    fn detached(&self, entry: &UploadEntry, file: Finished) -> Option<Detached> {
        match file {
            Finished::Writer(writer) => {
                let source = Source::new(&self.topic, entry);
                Some(Detached::done(source, writer))
            }
            Finished::External(_) => None,
        }
    }

    /// Ends the uploads with their channel. If the connection is `gone`, those that the client can
    /// resume are kept: by their own channels, which end too, or here if these have left them to a
    /// handler that has not run yet.
    pub(crate) fn end(&self, gone: bool) {
        self.endpoint.uploads().remove(self.id);
        let (mut links, mut unlinked) = (Vec::new(), Vec::new());
        for (upload, files) in self.uploads.lock().iter_mut().enumerate() {
            let spec = files.spec();
            let left = files.take_unlinked().into_iter();
            unlinked.extend(left.map(|left| (upload, spec, left)));
            links.extend(files.end(|link| gone && link.resumable));
        }
        links.into_iter().for_each(Link::stop);
        for (upload, spec, left) in unlinked {
            let (owner, entry) = (self.id, left.entry.uuid());
            let file = left.file.filter(|_| gone);
            if let Some(file) = file.and_then(|file| self.detached(&left.entry, file)) {
                let ticket = Ticket {
                    owner,
                    upload,
                    entry,
                };
                // An upload that is not kept is dropped with its writer.
                let _not_kept = keep(&self.endpoint, ticket, file, spec);
            }
            self.endpoint.uploads().detach(entry);
        }
    }
}

/// Returns a refusal as the reason of an entry's error: its payload, or the word alone.
pub(super) fn reason(refusal: &Refusal) -> Value {
    let payload = refusal.payload();
    let value: Option<Value> = payload
        .as_json()
        .and_then(|text| serde_json::from_str(text).ok());
    match (value, refusal.reason()) {
        (Some(Value::Object(fields)), Some(word)) if fields.len() == 1 => Value::from(word),
        (Some(value), _) => value,
        (None, _) => Value::from("refused"),
    }
}
