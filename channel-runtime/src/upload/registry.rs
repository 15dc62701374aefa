//! Finds the owner of an upload's channel, and keeps broken uploads.

use crate::telemetry::shown;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::{self, Instant},
};
use uuid::Uuid;

use super::{
    CloseReason, UploadEntry, UploadSpec,
    channel::{Handoff, UploadChannel},
    channel_uploads::ChannelUploads,
    end::End,
    grant::Ticket,
    open::Place,
    writer::AnyWriter,
};
use crate::{channel::ChannelRef, endpoint::Endpoint, protocol::Topic};

/// The number of broken uploads kept for clients that may come back; further ones are cancelled.
const MOST_DETACHED: usize = 1024;

/// The time that a returning client waits for the write during which its old connection broke.
const YIELD_WITHIN: Duration = Duration::from_secs(5);

/// The uploads of an endpoint.
#[derive(Default)]
pub(crate) struct Registry {
    owners: Mutex<HashMap<Uuid, Weak<ChannelUploads>>>,
    detached: Mutex<HashMap<Uuid, Kept>>,
    /// The uploads that have a channel, and that their clients can resume.
    carried: Mutex<HashMap<Uuid, (Source, ChannelRef<UploadChannel>)>>,
    /// Notified when one of these has lost its channel.
    ended: Notify,
    /// Uploads that a handler has taken, with the time until which their clients may not know it
    /// yet.
    taken: Mutex<HashMap<Uuid, (Source, Instant)>>,
}

/// The outcome for an upload that its client resumes.
pub(super) enum Adopted {
    Broken(Detached),
    /// Nothing is left to resume: a handler has it.
    Taken,
}

/// A broken upload that is kept.
struct Kept {
    ticket: Ticket,
    upload: Detached,
    /// Dropping it ends the task that waits for the upload's time limit.
    _timer: oneshot::Sender<Infallible>,
}

/// The identity of an upload, as far as a client knows it.
pub(super) struct Source {
    topic: Topic,
    entry: UploadEntry,
}

impl Source {
    pub(super) fn new(topic: &Topic, entry: &UploadEntry) -> Self {
        Source {
            topic: topic.clone(),
            entry: entry.clone(),
        }
    }

    /// Returns true if it is for this upload.
    fn is_for(&self, topic: &Topic, upload: &str) -> bool {
        self.topic == *topic && self.entry.upload() == upload
    }

    /// Returns true if it is the same file for the same upload.
    fn is(&self, topic: &Topic, entry: &UploadEntry) -> bool {
        self.is_for(topic, entry.upload())
            && self.entry.client_size() == entry.client_size()
            && self.entry.client_name() == entry.client_name()
            && self.entry.client_last_modified() == entry.client_last_modified()
    }
}

/// An upload whose client is away and may come back.
pub(super) struct Detached {
    source: Source,
    pub(super) writer: Box<dyn AnyWriter>,
    pub(super) received: u64,
    /// True if the writer is closed.
    pub(super) is_done: bool,
    /// Held while the writer has something open.
    _place: Option<Place>,
}

impl Detached {
    /// Creates one whose writer waits for more bytes.
    pub(super) fn broken(source: Source, writer: Box<dyn AnyWriter>, received: u64) -> Self {
        Detached {
            source,
            writer,
            received,
            is_done: false,
            _place: None,
        }
    }

    pub(super) fn with_place(self, place: Option<Place>) -> Self {
        Detached {
            _place: place,
            ..self
        }
    }

    pub(super) fn done(source: Source, writer: Box<dyn AnyWriter>) -> Self {
        let size = source.entry.client_size();
        Detached {
            is_done: true,
            ..Detached::broken(source, writer, size)
        }
    }

    async fn cancel(mut self) {
        if !self.is_done
            && let Err(error) = self.writer.close(CloseReason::Cancel).await
        {
            tracing::warn!(error = %shown(&error), "a writer could not give up an upload that nobody came back for");
        }
    }
}

impl Registry {
    pub(super) fn add(&self, id: Uuid, owner: &Arc<ChannelUploads>) {
        self.owners.lock().insert(id, Arc::downgrade(owner));
    }

    pub(super) fn remove(&self, id: Uuid) {
        let mut owners = self.owners.lock();
        owners.remove(&id);
        if owners.is_empty() {
            owners.shrink_to_fit();
        }
    }

    pub(super) fn owner(&self, id: Uuid) -> Option<Arc<ChannelUploads>> {
        self.owners.lock().get(&id)?.upgrade()
    }

    /// Records the channel of an upload, from which its client may move it to another one.
    pub(super) fn attach(&self, id: Uuid, source: Source, channel: ChannelRef<UploadChannel>) {
        self.carried.lock().insert(id, (source, channel));
    }

    /// Records that the channel of an upload is over.
    pub(super) fn detach(&self, id: Uuid) {
        if self.carried.lock().remove(&id).is_some() {
            self.ended.notify_waiters();
        }
    }

    /// Records that a handler has taken an upload which its client may still try to resume.
    pub(super) fn mark_consumed(&self, id: Uuid, time: Duration) {
        if let Some((source, _)) = self.carried.lock().remove(&id) {
            let now = Instant::now();
            let mut taken = self.taken.lock();
            if taken.len() >= MOST_DETACHED {
                taken.retain(|_, (_, until)| *until > now);
            }
            if taken.len() < MOST_DETACHED {
                taken.insert(id, (source, now + time));
            }
            drop(taken);
            self.ended.notify_waiters();
        }
    }

    /// Waits until an upload has lost its channel. It still has one if the client noticed the break
    /// before the server did, or has only just left.
    async fn wait_for_end(&self, broken: Uuid, topic: &Topic, entry: &UploadEntry) {
        let carried = || {
            let carried = self.carried.lock();
            let (source, channel) = carried.get(&broken)?;
            source.is(topic, entry).then(|| channel.clone())
        };
        let over = async {
            let mut ended = self.ended.notified();
            // Only once: every other upload of the endpoint that ends wakes this loop for another
            // look.
            if let Some(channel) = carried() {
                channel.push_final(Handoff);
            }
            while carried().is_some() {
                ended.await;
                ended = self.ended.notified();
            }
        };
        // If it takes longer, the upload starts from the beginning.
        let _late = time::timeout(YIELD_WITHIN, over).await;
    }

    /// Returns true if the upload of a ticket has, or had, a channel that its client may resume.
    pub(super) fn was_begun(&self, ticket: Ticket) -> bool {
        let id = ticket.entry;
        // One lock at a time.
        let is_carried = self.carried.lock().contains_key(&id);
        let is_detached = self.detached.lock().contains_key(&id);
        let is_taken = self.taken.lock().contains_key(&id);
        let owner = self.owner(ticket.owner);
        let is_finished = owner.is_some_and(|owner| owner.finished(ticket).is_some());
        is_carried || is_detached || is_taken || is_finished
    }

    fn has_taken(&self, id: Uuid, topic: &Topic, entry: &UploadEntry) -> bool {
        let taken = self.taken.lock();
        taken
            .get(&id)
            .is_some_and(|(source, _)| source.is(topic, entry))
    }

    /// Keeps an upload. Returns it if the limit is reached; one page has no more than its upload
    /// allows.
    fn keep(&self, kept: Kept, most: usize) -> Result<(), Detached> {
        let ticket = kept.ticket;
        let mut detached = self.detached.lock();
        // A cancelled upload has lost its channel. Checked under the lock, so a cancellation finds
        // the upload either there or here.
        let is_cancelled = !self.carried.lock().contains_key(&ticket.entry);
        let same = |other: &&Kept| {
            (other.ticket.owner, other.ticket.upload) == (ticket.owner, ticket.upload)
        };
        let is_full =
            detached.len() >= MOST_DETACHED || detached.values().filter(same).count() >= most;
        if is_cancelled || is_full {
            return Err(kept.upload);
        }
        detached.insert(ticket.entry, kept);
        Ok(())
    }

    fn claim(&self, id: Uuid, is_meant: impl Fn(&Source) -> bool) -> Option<Detached> {
        let mut detached = self.detached.lock();
        detached
            .get(&id)
            .filter(|kept| is_meant(&kept.upload.source))?;
        detached.remove(&id).map(|kept| kept.upload)
    }

    /// Makes an upload impossible to resume: its channel keeps nothing when it ends. Returns true
    /// if it has a channel.
    fn disown(&self, id: Uuid, topic: &Topic, upload: &str) -> bool {
        let mut carried = self.carried.lock();
        let is_meant = carried
            .get(&id)
            .is_some_and(|(source, _)| source.is_for(topic, upload));
        if is_meant {
            carried.remove(&id);
            drop(carried);
            self.ended.notify_waiters();
        }
        is_meant
    }
}

/// Takes a broken upload for the entry that resumes it.
pub(super) async fn adopt(
    registry: &Registry,
    ticket: Ticket,
    topic: &Topic,
    entry: &UploadEntry,
) -> Option<Adopted> {
    let broken = ticket.entry;
    registry.wait_for_end(broken, topic, entry).await;
    // A complete file that its client has left still belongs to its channel.
    let owner = registry.owner(ticket.owner);
    let left = owner.and_then(|owner| Some((owner.finished(ticket)?, owner)));
    if let Some((_, owner)) = left.filter(|(source, _)| source.is(topic, entry)) {
        // A handler may take it at this moment.
        let upload = owner.detach_finished(ticket, entry);
        return Some(upload.map_or(Adopted::Taken, Adopted::Broken));
    }
    if registry.has_taken(broken, topic, entry) {
        return Some(Adopted::Taken);
    }
    let upload = registry.claim(broken, |source| source.is(topic, entry));
    upload.map(Adopted::Broken)
}

/// Keeps a broken upload for its time, and cancels it then, or at once if the limit is reached.
/// Returns true if it is kept.
pub(super) async fn detach(
    endpoint: &Endpoint,
    ticket: Ticket,
    upload: Detached,
    spec: &UploadSpec,
) -> bool {
    match keep(endpoint, ticket, upload, spec) {
        Ok(()) => true,
        Err(upload) => {
            upload.cancel().await;
            false
        }
    }
}

/// Does the same, but returns the upload if the limit is reached.
pub(super) fn keep(
    endpoint: &Endpoint,
    ticket: Ticket,
    upload: Detached,
    spec: &UploadSpec,
) -> Result<(), Detached> {
    // If the runtime of a channel is gone, its client cannot come back.
    let (Some(time), Ok(runtime)) = (spec.detach(), Handle::try_current()) else {
        return Err(upload);
    };
    let most = spec.max_entries as usize;
    let (timer, claimed) = oneshot::channel();
    let kept = Kept {
        ticket,
        upload,
        _timer: timer,
    };
    match endpoint.is_draining() {
        false => endpoint.uploads().keep(kept, most)?,
        true => return Err(kept.upload),
    }
    let (draining, owned) = (endpoint.draining(), endpoint.clone());
    let expire = async move {
        tokio::select! {
            () = time::sleep(time) => {}
            () = draining => {}
            _ = claimed => return,
        }
        if let Some(upload) = owned.uploads().claim(ticket.entry, |_| true) {
            end_kept(&owned.uploads(), ticket, upload, &End::DetachTimeout).await;
        }
    };
    endpoint.tasks().spawn_on(expire, &runtime);
    Ok(())
}

/// Cancels an upload that was kept, and tells the channel that it is for if that one lives.
async fn end_kept(registry: &Registry, ticket: Ticket, upload: Detached, end: &End<'_>) {
    let entry = upload.source.entry.clone();
    upload.cancel().await;
    if let Some(owner) = registry.owner(ticket.owner) {
        owner.kept_ended(ticket.upload, entry, end);
    }
}

/// Discards an upload that its client no longer wants: its channel, its entry, or what is kept of
/// it. Returns true if there was any of these.
pub(super) fn give_up(endpoint: &Endpoint, ticket: Ticket, topic: &Topic, upload: &str) -> bool {
    let (uploads, id) = (endpoint.uploads(), ticket.entry);
    // Comes first, so that the upload is found below or kept nowhere.
    let had_channel = uploads.disown(id, topic, upload);
    // Ends its channel, too. A channel whose owner is over ends already.
    let owner = uploads.owner(ticket.owner);
    let was_listed = owner.is_some_and(|owner| owner.give_up(ticket, topic, upload));
    let kept = uploads.claim(id, |source| source.is_for(topic, upload));
    let was_kept = kept.is_some();
    if let Some(kept) = kept {
        let owned = endpoint.clone();
        endpoint.tasks().spawn(async move {
            end_kept(&owned.uploads(), ticket, kept, &End::Cancelled).await;
        });
    }
    had_channel || was_listed || was_kept
}

impl Endpoint {
    pub(super) fn uploads(&self) -> Arc<Registry> {
        self.extension()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::{Discard, selection::ClientEntry, writer::Guarded};

    #[test]
    fn an_upload_that_was_given_up_while_its_channel_ends_is_not_kept() {
        let ticket = Ticket {
            owner: Uuid::new_v4(),
            upload: 0,
            entry: Uuid::new_v4(),
        };
        let said = ClientEntry::new("a.bin", 10, "");
        let entry = UploadEntry::new("files", Arc::new(said), 0);
        let source = Source::new(&Topic::from("album:1"), &entry);
        let writer = Box::new(Guarded::new(Discard));
        let kept = Kept {
            ticket,
            upload: Detached::broken(source, writer, 5),
            _timer: oneshot::channel().0,
        };
        assert!(Registry::default().keep(kept, 1).is_err());
    }
}
