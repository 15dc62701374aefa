//! Where the channel of an upload finds the channel it is for, and broken uploads are kept.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{self, Instant},
};
use uuid::Uuid;

use super::{
    CloseReason, UploadEntry,
    channel::{UploadChannel, Yield},
    grant::Ticket,
    owner::Owner,
    writer::AnyWriter,
};
use crate::{ChannelRef, Endpoint, Topic};

/// How many broken uploads are kept for clients that may come back; those beyond are cancelled.
const MOST_DETACHED: usize = 1024;

/// How long a client that comes back waits for the write that its old connection was broken in.
const YIELD_WITHIN: Duration = Duration::from_secs(5);

/// The uploads of an endpoint.
#[derive(Default)]
pub(crate) struct Registry {
    owners: Mutex<HashMap<Uuid, Weak<Owner>>>,
    detached: Mutex<HashMap<Uuid, (Ticket, Detached)>>,
    /// The uploads that have a channel, and whose clients can go on with them.
    carried: Mutex<HashMap<Uuid, (Source, ChannelRef<UploadChannel>)>>,
    /// One of these has no channel any more.
    ended: Notify,
    /// Uploads that a handler has taken, until when their clients may not know that yet.
    taken: Mutex<HashMap<Uuid, (Source, Instant)>>,
}

/// What becomes of an upload that its client goes on with.
pub(super) enum Adopted {
    Broken(Detached),
    /// There is nothing to go on with: a handler has it.
    Taken,
}

/// What an upload is of, as far as a client can say.
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

    /// Whether it is the same file for the same upload.
    fn is(&self, topic: &Topic, entry: &UploadEntry) -> bool {
        self.topic == *topic
            && self.entry.upload() == entry.upload()
            && self.entry.client_size() == entry.client_size()
            && self.entry.client_name() == entry.client_name()
            && self.entry.client_last_modified() == entry.client_last_modified()
    }
}

/// An upload whose client is not there, and may come back.
pub(super) struct Detached {
    source: Source,
    pub(super) writer: Box<dyn AnyWriter>,
    pub(super) received: u64,
    /// The writer is closed.
    pub(super) is_done: bool,
}

impl Detached {
    /// One whose writer waits for more.
    pub(super) fn broken(source: Source, writer: Box<dyn AnyWriter>, received: u64) -> Self {
        Detached {
            source,
            writer,
            received,
            is_done: false,
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
            tracing::warn!(%error, "a writer could not give up an upload that nobody came back for");
        }
    }
}

impl Registry {
    pub(super) fn add(&self, id: Uuid, owner: &Arc<Owner>) {
        self.owners.lock().insert(id, Arc::downgrade(owner));
    }

    pub(super) fn remove(&self, id: Uuid) {
        let mut owners = self.owners.lock();
        owners.remove(&id);
        if owners.is_empty() {
            owners.shrink_to_fit();
        }
    }

    pub(super) fn owner(&self, id: Uuid) -> Option<Arc<Owner>> {
        self.owners.lock().get(&id)?.upgrade()
    }

    /// An upload has a channel, from which its client may take it to another one.
    pub(super) fn carry(&self, id: Uuid, source: Source, channel: ChannelRef<UploadChannel>) {
        self.carried.lock().insert(id, (source, channel));
    }

    /// The channel of an upload is over.
    pub(super) fn uncarry(&self, id: Uuid) {
        if self.carried.lock().remove(&id).is_some() {
            self.ended.notify_waiters();
        }
    }

    /// A handler has taken an upload that its client may still want to go on with.
    pub(super) fn took(&self, id: Uuid, time: Duration) {
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

    /// Waits until an upload has no channel any more, which it has where its client has noticed the
    /// break before the server or has only just left.
    async fn wait_for_end(&self, broken: Uuid, topic: &Topic, entry: &UploadEntry) {
        let carried = || {
            let carried = self.carried.lock();
            let (source, channel) = carried.get(&broken)?;
            source.is(topic, entry).then(|| channel.clone())
        };
        let over = async {
            loop {
                let ended = self.ended.notified();
                let Some(channel) = carried() else {
                    break;
                };
                channel.send(Yield);
                ended.await;
            }
        };
        // One that takes longer is begun anew.
        let _late = time::timeout(YIELD_WITHIN, over).await;
    }

    /// Whether the upload of a ticket has, or had, a channel that its client may go on with.
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

    /// Gives the upload back where no more are kept: one page has no more than its upload allows.
    fn keep(&self, ticket: Ticket, upload: Detached, most: usize) -> Result<(), Detached> {
        let mut detached = self.detached.lock();
        let same = |(other, _): &&(Ticket, Detached)| {
            (other.owner, other.upload) == (ticket.owner, ticket.upload)
        };
        if detached.len() >= MOST_DETACHED || detached.values().filter(same).count() >= most {
            return Err(upload);
        }
        detached.insert(ticket.entry, (ticket, upload));
        Ok(())
    }

    fn claim(&self, id: Uuid, topic: &Topic, entry: &UploadEntry) -> Option<Detached> {
        let mut detached = self.detached.lock();
        detached
            .get(&id)
            .filter(|(_, upload)| upload.source.is(topic, entry))?;
        detached.remove(&id).map(|(_, upload)| upload)
    }
}

/// Takes a broken upload for the entry that goes on with it.
pub(super) async fn adopt(
    registry: &Registry,
    ticket: Ticket,
    topic: &Topic,
    entry: &UploadEntry,
) -> Option<Adopted> {
    let broken = ticket.entry;
    registry.wait_for_end(broken, topic, entry).await;
    // One that its client has left when it was all there is still its channel's.
    let owner = registry.owner(ticket.owner);
    let left = owner.and_then(|owner| Some((owner.finished(ticket)?, owner)));
    let left = left.filter(|(source, _)| source.is(topic, entry));
    let is_due = left.as_ref().is_some_and(|(_, owner)| owner.is_due(ticket));
    if is_due || registry.has_taken(broken, topic, entry) {
        return Some(Adopted::Taken);
    }
    let upload = match left {
        Some((_, owner)) => owner.detach_finished(ticket, entry),
        None => registry.claim(broken, topic, entry),
    };
    upload.map(Adopted::Broken)
}

/// Keeps a broken upload for `time`, and cancels it then, or at once where no more are kept.
pub(super) async fn detach(
    endpoint: &Endpoint,
    ticket: Ticket,
    upload: Detached,
    (time, most): (Duration, usize),
) {
    let kept = match endpoint.is_draining() {
        false => endpoint.uploads().keep(ticket, upload, most),
        true => Err(upload),
    };
    if let Err(upload) = kept {
        return upload.cancel().await;
    }
    let (draining, owned) = (endpoint.draining(), endpoint.clone());
    let expire = async move {
        tokio::select! {
            () = time::sleep(time) => {}
            () = draining => {}
        }
        let upload = owned.uploads().detached.lock().remove(&ticket.entry);
        if let Some((_, upload)) = upload {
            upload.cancel().await;
        }
    };
    endpoint.tasks().spawn(expire);
}
