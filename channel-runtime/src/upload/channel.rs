//! The channel that receives the bytes of one file.

mod begin;

use std::{sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use self::begin::begin;
use super::{
    CloseReason, Paused, UploadEntry, UploadSpec, WriterError,
    channel_uploads::ChannelUploads,
    destination::Finished,
    end::End,
    entries::Left,
    grant::Ticket,
    open::Place,
    registry::{Detached, Source, detach},
    writer::AnyWriter,
};
use crate::telemetry::shown;
use crate::{
    channel::{
        Answer, Channel, ChannelOptions, Context, Contexts, HandlerFuture, InfoFor, IntoAnswer,
        IntoNoReply, Joined, NoReply, PushedBy, Reason, ServerMessage, Socket, Stop, TimerRef,
        role,
    },
    protocol::{Binary, EncodeError, Event, FromPayload, Payload, Refusal},
};

/// Receives the bytes of clients' files and passes them to their writers: the channel `lvu:*`, to
/// be listed beside the channels that take uploads. Mirrors `Phoenix.LiveView.UploadChannel`.
///
/// ```
/// # use channel_runtime::{prelude::*, upload::{TempFile, StoredFile, UploadChannel}};
/// pub struct Album;
///
/// #[channel("album:*")]
/// impl Album {
///     #[join]
///     fn join() -> Self { Album }
///
///     #[allow_upload("photos", accept = ["image/*"])]
///     fn photos(&mut self) -> TempFile { TempFile::new() }
///
///     #[handle_upload("photos")]
///     async fn photo(&mut self, file: StoredFile) {}
/// }
///
/// pub struct UserSocket;
///
/// #[socket(channels = [Album, UploadChannel])]
/// impl UserSocket {
///     #[connect]
///     fn connect() -> Self { UserSocket }
/// }
/// ```
///
/// Each file has a channel of its own. It belongs to its entry, and nothing else ends with it.
pub struct UploadChannel {
    running: Running,
    spec: &'static UploadSpec,
    /// `None` once the whole file is here and the entry has the writer.
    writer: Option<Box<dyn AnyWriter>>,
    /// Held as long as the writer is open.
    place: Option<Place>,
    received: u64,
    last: Instant,
    timeout: Duration,
    timer: TimerRef,
    resumable: bool,
    /// True if the client resumes the file in another channel.
    yields: bool,
}

/// The entry that a channel receives bytes for. Dropping it tells the entry that no more bytes
/// come.
struct Running {
    owner: Arc<ChannelUploads>,
    ticket: Ticket,
    entry: UploadEntry,
    over: bool,
    /// The reason for the end if the channel ends early.
    why: Why,
    /// True if the channel that takes the uploads decides what happens to the file.
    left: bool,
}

impl Running {
    /// Leaves a finished file whose connection is gone. Returns the file if its client may come
    /// back for it. If a handler is still due to take it, the channel decides at its own end, since
    /// the handler may never run.
    fn leave(&mut self) -> Option<Detached> {
        match self.owner.leave(self.ticket, &self.entry) {
            Left::ToClient(upload) => Some(upload),
            left => {
                self.left = matches!(left, Left::ToHandler);
                None
            }
        }
    }
}

enum Why {
    /// The client goes on with the file elsewhere, or has been told that there is nothing left.
    Moves,
    TooManyBytes,
    TooManyOpen,
    ChunkTimeout,
    NotKept,
    Channel(Reason),
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            let limit = self.entry.client_size();
            let end = match &self.why {
                Why::Moves => None,
                Why::TooManyBytes => Some(End::TooManyBytes { limit }),
                Why::TooManyOpen => Some(End::TooManyOpen),
                Why::ChunkTimeout => Some(End::ChunkTimeout),
                Why::NotKept => Some(End::NotKept),
                Why::Channel(reason) => Some(End::Channel(reason)),
            };
            self.owner.dropped(self.ticket, end.as_ref());
        }
        if !self.left {
            self.owner.detach(self.ticket);
        }
    }
}

/// The number of chunks that a client may have in flight: one being written and one waiting. With
/// the one that a writer such as `TempFile` still holds, and the part of the next that the
/// connection has read, memory holds fewer than four.
const WINDOW: usize = 2;

/// Sent when the time for the next chunk may have passed.
struct Deadline;

/// Sent when the client resumes the upload in another channel.
pub(super) struct Handoff;

/// Pushed when no chunk has come for too long. Without it, a client that can resume could not tell
/// this end from that of a cancelled file.
struct Stalled;

impl Event for Stalled {
    const NAME: &'static str = "stalled";

    fn to_payload(&self) -> Result<Payload, EncodeError> {
        Ok(Payload::empty())
    }
}

impl PushedBy<UploadChannel> for Stalled {}

impl Channel for UploadChannel {
    type Extension = ();
    type Shared = ();
    type Socket = ();

    const NAME: &'static str = "UploadChannel";
    const TOPICS: &'static [&'static str] = &["lvu:*"];
    // Room for the channel's own messages beside the chunk. Closing a writer may take longer than
    // the default timeout of a channel.
    const OPTIONS: ChannelOptions = ChannelOptions::DEFAULT
        .mailbox(4)
        .pushes(WINDOW)
        .hibernate_after_ms(None)
        .shutdown_ms(30_000);

    fn join<'a>(
        cx: &'a Context<'a, Self, role::join>,
        payload: Payload,
    ) -> Result<HandlerFuture<'a, Joined<Self>>, Refusal> {
        Ok(HandlerFuture::pending(async move {
            match begin(cx.socket(), &payload).await {
                Ok((channel, response)) => Joined::Accepted(channel, response),
                Err(reason) => Joined::Refused(Refusal::new(reason)),
            }
        }))
    }

    fn handle_in<'a>(
        &'a mut self,
        cx: &'a Context<'a, Self, role::handle_in>,
        payload: Payload,
    ) -> Result<HandlerFuture<'a, Answer>, Refusal> {
        let event = cx.event();
        if !matches!(event, "chunk" | "chunk_at") {
            return Ok(HandlerFuture::ready(Answer::unknown_event()));
        }
        let Binary(mut chunk) = Binary::from_payload(payload)?;
        if event == "chunk_at" {
            chunk = self.placed(chunk)?;
        }
        Ok(HandlerFuture::pending(self.chunk(chunk, cx.socket())))
    }

    fn terminate<'a>(
        self,
        _: &'a Context<'a, Self, role::terminate>,
        reason: Reason,
    ) -> HandlerFuture<'a, ()> {
        HandlerFuture::pending(self.end(reason))
    }
}

impl InfoFor<UploadChannel> for Deadline {
    fn handle<'a>(
        self,
        channel: &'a mut UploadChannel,
        cx: &'a Context<'a, UploadChannel, role::handle_info>,
    ) -> HandlerFuture<'a, NoReply> {
        HandlerFuture::ready(channel.expire(cx.socket()))
    }
}

impl ServerMessage<UploadChannel> for Handoff {
    fn run<'a>(
        self: Box<Self>,
        channel: &'a mut UploadChannel,
        _: &'a Contexts<'a, UploadChannel>,
    ) -> HandlerFuture<'a, NoReply> {
        HandlerFuture::ready(channel.yields())
    }
}

impl UploadChannel {
    fn size(&self) -> u64 {
        self.running.entry.client_size()
    }

    /// Returns the bytes of a chunk that begins with its offset. If the chunk before it was
    /// refused, this one is refused too.
    fn placed(&self, mut chunk: Bytes) -> Result<Bytes, Refusal> {
        let offset = chunk.try_get_u64().map_err(|_| Refusal::new("no offset"))?;
        match offset == self.received {
            true => Ok(chunk),
            false => Err(Refusal::new("wrong_offset").with("offset", self.received)),
        }
    }

    /// Writes a chunk. Answers `ok` only for bytes that were written.
    async fn chunk(&mut self, chunk: Bytes, socket: &Socket<Self>) -> Answer {
        let received = self.received + chunk.len() as u64;
        let (limit, most) = (self.size(), self.spec.chunk_size);
        if received <= limit && chunk.len() > most as usize {
            return Answer::refuse(Refusal::new("chunk_too_large").with("limit", most));
        }
        // Empty chunks must not keep an upload alive.
        if !chunk.is_empty() {
            self.heard(socket);
        }
        let Some(writer) = self.writer.as_mut().filter(|_| received <= limit) else {
            self.running.why = Why::TooManyBytes;
            let refusal = Refusal::new("file_size_limit_exceeded").with("limit", limit);
            return Stop::normal().refuse(refusal).into_answer();
        };
        let written = match writer.write_chunk(chunk).await {
            Err(error) => {
                close_failed(&mut **writer, &error).await;
                Err(error)
            }
            Ok(()) if received < limit => Ok(()),
            Ok(()) => writer.close(CloseReason::Done).await,
        };
        if let Err(error) = written {
            (self.writer, self.place) = (None, None);
            self.running.over = true;
            let (ticket, entry) = (self.running.ticket, &self.running.entry);
            self.running.owner.writer_failed(ticket, entry, &error);
            return Stop::normal()
                .refuse(Refusal::new("writer_error"))
                .into_answer();
        }
        self.received = received;
        match received == limit {
            true => self.finished(),
            false => self.advance(),
        }
        Answer::ok(())
    }

    fn advance(&self) {
        let Running { owner, entry, .. } = &self.running;
        owner.advance(self.running.ticket, entry, self.received);
    }

    /// Hands the file over to its entry.
    fn finished(&mut self) {
        self.running.over = true;
        self.timer.cancel();
        self.place = None;
        if let Some(writer) = self.writer.take() {
            let (ticket, file) = (self.running.ticket, Finished::Writer(writer));
            // A file that is no longer wanted is dropped with its writer.
            let unwanted = self.running.owner.finish(ticket, &self.running.entry, file);
            drop(unwanted);
        }
    }

    /// Ends the channel if no chunk has come for too long.
    fn expire(&mut self, socket: &Socket<Self>) -> NoReply {
        let rest = self.timeout.saturating_sub(self.last.elapsed());
        if self.writer.is_none() {
            return NoReply::CONTINUE;
        }
        if rest.is_zero() {
            if self.resumable {
                // A client that is gone does not receive it.
                let _gone = socket.push(&Stalled);
            }
            self.running.why = Why::ChunkTimeout;
            return self.yields();
        }
        self.arm(rest, socket);
        NoReply::CONTINUE
    }

    /// Ends the channel and keeps its upload for the client.
    fn yields(&mut self) -> NoReply {
        self.yields = true;
        Stop::normal().into_no_reply()
    }

    /// Returns true if the client may go on elsewhere, now that the channel ends.
    fn is_kept(&self, reason: &Reason) -> bool {
        let kept = match reason {
            Reason::Closed => true,
            // A client that leaves a finished file leaves it to the handlers.
            Reason::Left => self.writer.is_some(),
            _ => self.yields,
        };
        kept && self.resumable
    }

    /// Notes that bytes have come, which gives the next ones their full time.
    fn heard(&mut self, socket: &Socket<Self>) {
        self.last = Instant::now();
        if self.timeout != self.spec.chunk_timeout() {
            self.timeout = self.spec.chunk_timeout();
            self.arm(self.timeout, socket);
        }
    }

    /// Starts the one timer, which checks the time of the last chunk, so no timer is made per
    /// chunk.
    fn arm(&mut self, rest: Duration, socket: &Socket<Self>) {
        self.timer.cancel();
        self.timer = socket.send_after(rest, Deadline);
    }

    async fn end(mut self, reason: Reason) {
        let is_kept = self.spec.detach().is_some() && self.is_kept(&reason);
        let is_closed = matches!(reason, Reason::Closed);
        let running = &mut self.running;
        if let (Why::Channel(_), false) = (&running.why, matches!(reason, Reason::Normal)) {
            running.why = Why::Channel(reason);
        }
        let (owner, ticket) = (running.owner.clone(), running.ticket);
        if is_kept {
            let upload = match self.writer.take() {
                Some(mut writer) => {
                    let place = match writer.pause().await {
                        Ok(Paused::Open) => self.place,
                        Ok(Paused::Closed) => None,
                        Err(error) => {
                            close_failed(&mut *writer, &error).await;
                            running.over = true;
                            return owner.writer_failed(ticket, &running.entry, &error);
                        }
                    };
                    let source = Source::new(owner.topic(), &running.entry);
                    let upload = Detached::broken(source, writer, self.received);
                    Some(upload.with_place(place))
                }
                None if is_closed => running.leave(),
                None => owner.detach_finished(ticket, &running.entry),
            };
            if let Some(upload) = upload {
                running.why = match detach(owner.endpoint(), ticket, upload, self.spec).await {
                    true => Why::Moves,
                    false => Why::NotKept,
                };
            }
            return;
        }
        if let Some(mut writer) = self.writer.take()
            && let Err(error) = writer.close(CloseReason::Cancel).await
        {
            let entry = &running.entry;
            tracing::warn!(error = %shown(&error), upload = entry.upload(), "a writer could not give up an upload");
        }
    }
}

async fn close_failed(writer: &mut dyn AnyWriter, error: &WriterError) {
    if let Err(second) = writer.close(CloseReason::Error(error)).await {
        tracing::warn!(error = %shown(&second), "a writer that has failed could not close either");
    }
}
