//! The task of one channel: join, one message after the other, terminate.

use std::{any::Any, future::poll_fn, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::FutureExt;
use tokio::time;
use tracing::Instrument;

use super::{
    Channel, ChannelOf, ChannelRef, Context, Inbox, Joined, Reason, Socket,
    answer::{ERROR, OK},
    handle::{ChannelHandle, Predecessor, Running},
    hibernate::Hibernation,
    inbox::{Contexts, Ended, Letter, Next, Refused},
};
use crate::{
    Broadcast, ConnectInfo, Endpoint, Payload, Refusal, Topic,
    pubsub::Fastlane,
    socket::{ChannelId, Corked, Outlet, Share, Urgency},
    telemetry,
    wire::{Message, Push, Term, reserved},
};

/// What it takes to start a channel.
pub(crate) struct Start {
    pub(crate) id: ChannelId,
    pub(crate) topic: Topic,
    pub(crate) message: Message,
    pub(crate) predecessor: Option<Predecessor>,
    pub(crate) outlet: Outlet,
    pub(crate) info: Arc<ConnectInfo>,
    pub(crate) endpoint: Endpoint,
    pub(crate) inbox_capacity: usize,
    /// What the join's own payload takes of the client's budget.
    pub(crate) share: Share,
}

/// What is left of the client's join.
struct JoinMessage {
    reference: Term,
    payload: Payload,
    share: Share,
}

/// Starts the task of a channel.
pub(crate) fn start<S, C: ChannelOf<S>>(start: Start, user: &Arc<S>) -> ChannelHandle {
    let inbox = Inbox::<C>::new(C::OPTIONS.inbox.unwrap_or(start.inbox_capacity));
    let me = ChannelRef::new(start.endpoint.pubsub().new_id(), start.topic, inbox.clone());
    let tracker = start.endpoint.tasks().clone();
    let Message {
        join_ref,
        reference,
        payload,
        ..
    } = start.message;
    let socket = Socket::new(
        me,
        join_ref,
        start.outlet,
        C::socket(user),
        start.info,
        start.endpoint,
    );
    let server = Server {
        id: start.id,
        socket,
        inbox: inbox.clone(),
        ended: Ended::Silent,
        finished: false,
    };
    let join = JoinMessage {
        reference,
        payload,
        share: start.share,
    };
    let task = tracker
        .spawn(Corked::new(server.run(start.predecessor, join)))
        .abort_handle();
    Arc::new(Running { inbox, task })
}

/// How a channel's messages came to an end.
enum End {
    /// The join was refused, or no pattern took the topic.
    NotJoined,
    /// For this reason, with the leave message that is to be answered.
    Because(Reason),
    Panicked,
    /// It took longer than its shutdown time.
    Overdue,
}

struct Server<C: Channel> {
    id: ChannelId,
    socket: Socket<C>,
    inbox: Arc<Inbox<C>>,
    ended: Ended,
    finished: bool,
}

impl<C: Channel> Server<C> {
    async fn run(mut self, predecessor: Option<Predecessor>, join: JoinMessage) {
        let span = tracing::info_span!("channel", channel = C::NAME, topic = %self.socket.topic());
        let end = async {
            let serve = AssertUnwindSafe(self.serve(predecessor, join));
            tokio::select! {
                biased;
                end = serve.catch_unwind() => end.unwrap_or_else(|panic| {
                    telemetry::channel_panicked::<C>("a handler", &*panic);
                    End::Panicked
                }),
                () = self.overdue() => End::Overdue,
            }
        }
        .instrument(span)
        .await;
        self.finish(&end);
    }

    /// Ready when the channel had to end and has not for as long as it may take.
    async fn overdue(&self) {
        poll_fn(|cx| self.inbox.poll_doomed(cx)).await;
        Box::pin(time::sleep(C::OPTIONS.shutdown)).await;
        tracing::warn!("a channel did not end within its shutdown time and is dropped");
    }

    async fn serve(&self, predecessor: Option<Predecessor>, join: JoinMessage) -> End {
        let replaced = match &predecessor {
            Some(former) => Box::pin(former.wait()).await.then_some(&former.join_ref),
            None => None,
        };
        // What runs once is boxed, so that a channel that waits is no larger for it.
        let joined = Box::pin(self.join(join)).await;
        if let Some(join_ref) = replaced {
            self.say_end(join_ref, reserved::CLOSE, &Payload::empty());
        }
        drop(predecessor);
        match joined {
            Some(channel) => End::Because(self.live(channel).await),
            None => End::NotJoined,
        }
    }

    /// Runs the join, answers it and, when it is accepted, subscribes the client to the topic.
    async fn join(&self, message: JoinMessage) -> Option<C> {
        let JoinMessage {
            reference,
            payload,
            share,
        } = message;
        let started = Instant::now();
        let params = payload.clone();
        let cx = Context::new(&self.socket);
        let join = AssertUnwindSafe(async { C::join(&cx, payload).run().await });
        let joined = join
            .catch_unwind()
            .instrument(telemetry::join_span::<C>())
            .await
            .unwrap_or_else(|panic| {
                telemetry::channel_panicked::<C>("a join", &*panic);
                Joined::Refused(Refusal::new("join crashed"))
            });
        drop(share);
        let (join_ref, topic) = (self.socket.join_ref(), Term::from(self.socket.topic()));
        let outlet = self.socket.outlet();
        let reply = |join_ref: &Term, status: &str, payload: &Payload| {
            outlet.reply(
                join_ref,
                &reference,
                &topic,
                status,
                payload,
                Urgency::MustSend,
            )
        };
        let outcome = match &joined {
            Joined::Accepted(..) => "ok",
            Joined::Refused(_) => "error",
            Joined::Unmatched => "unmatched",
        };
        telemetry::joined::<C>(self.socket.topic(), outcome, started.elapsed(), &params);
        match joined {
            Joined::Accepted(channel, response) => {
                let mut answered = false;
                let topic = self.socket.topic().clone();
                let pubsub = self.socket.endpoint().pubsub();
                let prepared = pubsub.prepare(&topic).await;
                let subscription = pubsub.subscribe_then(
                    prepared,
                    topic,
                    self.socket.channel_ref().id(),
                    self.fastlane(),
                    || answered = reply(join_ref, &OK, &response),
                );
                if answered {
                    self.socket.keep(subscription);
                }
                answered.then_some(channel)
            }
            Joined::Refused(refusal) => {
                reply(join_ref, &ERROR, &refusal.payload());
                None
            }
            Joined::Unmatched => {
                reply(
                    &Term::Null,
                    &ERROR,
                    &Refusal::new("unmatched topic").payload(),
                );
                None
            }
        }
    }

    fn fastlane(&self) -> Arc<dyn crate::pubsub::Subscriber> {
        let (inbox, outlet) = (Arc::downgrade(&self.inbox), self.socket.outlet().clone());
        Fastlane::new(
            outlet.clone(),
            C::INTERCEPTS,
            move |broadcast: &Broadcast| {
                let Some(inbox) = inbox.upgrade() else { return };
                if let Err(Refused::Full(_)) = inbox.offer(broadcast.clone(), Letter::Broadcast) {
                    outlet.overflow(C::NAME);
                }
            },
        )
    }

    /// Takes messages until one of them ends the channel, and terminates it.
    async fn live(&self, mut channel: C) -> Reason {
        #[cfg(feature = "uploads")]
        C::allow_uploads(&self.socket);
        let contexts = Contexts {
            info: Context::new(&self.socket),
            cast: Context::new(&self.socket),
            call: Context::new(&self.socket),
        };
        let mut hibernation = Hibernation::new::<C>();
        let reason = loop {
            let stop = match self.next(&mut hibernation).await {
                Next::Stop(reason) => Some(reason),
                Next::Letter(Letter::Push(message, share)) => {
                    let stop = self.handle_in(&mut channel, message).await;
                    drop(share);
                    stop
                }
                Next::Letter(Letter::Broadcast(broadcast)) => {
                    let cx = Context::for_event(&self.socket, broadcast.event(), &Term::Null);
                    channel.handle_out(&cx, &broadcast).run().await.stop
                }
                Next::Letter(Letter::Errand(errand)) => {
                    errand.run(&mut channel, &contexts).run().await.stop
                }
                Next::Letter(Letter::Leave(reference)) => {
                    self.answer_leave(&reference);
                    Some(Reason::Left)
                }
                Next::Letter(Letter::Closed) => Some(Reason::Closed),
            };
            if let Some(reason) = stop {
                break reason;
            }
        };
        let cx = Context::new(&self.socket);
        channel.terminate(&cx, reason.clone()).run().await;
        reason
    }

    /// The next message; gives spare memory back when none comes for a while.
    async fn next(&self, hibernation: &mut Hibernation) -> Next<C> {
        let next = poll_fn(|cx| {
            let next = self.inbox.poll_next(cx);
            if next.is_pending() {
                hibernation.poll(&self.inbox, cx);
            }
            next
        })
        .await;
        hibernation.wake();
        next
    }

    async fn handle_in(&self, channel: &mut C, message: Message) -> Option<Reason> {
        let Message {
            reference,
            event,
            payload,
            ..
        } = message;
        let event = match event.as_str() {
            Some(event) if !event.starts_with(reserved::PREFIX) => event,
            _ => {
                self.answer(&reference, super::Answer::unknown_event());
                return None;
            }
        };
        let cx = Context::for_event(&self.socket, event, &reference);
        let probe = telemetry::HandleIn::<C>::begin(self.socket.topic(), event, &payload);
        // A handler that is not async runs at once, so the call itself stands in the span.
        let handled = async { channel.handle_in(&cx, payload).run().await };
        let answer = handled.instrument(probe.span()).await;
        probe.finish(&answer);
        let stop = answer.stop.clone();
        self.answer(&reference, answer);
        stop
    }

    fn answer(&self, reference: &Term, answer: super::Answer) {
        let (join_ref, topic) = (self.socket.join_ref(), self.socket.topic());
        self.socket
            .outlet()
            .answer(join_ref, reference, topic, answer);
    }

    fn answer_leave(&self, reference: &Term) {
        let (join_ref, topic) = (self.socket.join_ref(), Term::from(self.socket.topic()));
        let empty = Payload::empty();
        self.socket
            .outlet()
            .reply(join_ref, reference, &topic, &OK, &empty, Urgency::MustSend);
    }

    /// `phx_close` or `phx_error`, with the join_ref as ref too.
    fn say_end(&self, join_ref: &Term, event: &str, payload: &Payload) {
        let outlet = self.socket.outlet();
        let push = Push {
            join_ref,
            reference: join_ref,
            topic: self.socket.topic(),
            event,
            payload,
        };
        if let Ok(frame) = outlet.serializer().push(push) {
            outlet.send(frame, Urgency::Final);
        }
    }

    /// Ends what the channel holds, tells the client, and answers what it can no longer handle.
    /// Nothing in here waits, so it runs to its end even where the task is dropped.
    fn finish(&mut self, end: &End) {
        self.socket
            .detach(matches!(end, End::Because(Reason::Closed) | End::Overdue));
        self.socket
            .outlet()
            .outbox()
            .ended(self.socket.topic().clone(), self.id);
        let join_ref = self.socket.join_ref();
        let event = match end {
            End::Because(Reason::Left | Reason::Normal | Reason::Shutdown(_)) => {
                Some((reserved::CLOSE, Payload::empty()))
            }
            End::Because(Reason::Error(why)) => {
                tracing::error!(channel = C::NAME, topic = %self.socket.topic(), reason = %why, "a channel has failed");
                Some((reserved::ERROR, Refusal::new("channel_crash").payload()))
            }
            End::Panicked => Some((reserved::ERROR, Refusal::new("channel_crash").payload())),
            End::NotJoined => None,
            // The successor says it, or the connection is going away.
            End::Because(_) | End::Overdue => None,
        };
        if let Some((event, payload)) = &event {
            self.say_end(join_ref, event, payload);
        }
        if event.is_some() || matches!(end, End::NotJoined) {
            self.ended = Ended::Announced;
        }
        // Closed only now: the connection answers what finds it closed, and the client must hear
        // of the channel's end before that.
        let left = self.inbox.close();
        left.into_iter().for_each(|letter| self.answer_late(letter));
        self.finished = true;
    }

    /// What the client hears of a message that came too late.
    fn answer_late(&self, letter: Letter<C>) {
        match letter {
            Letter::Leave(reference) => self.answer_leave(&reference),
            Letter::Push(
                Message {
                    reference, event, ..
                },
                _,
            ) if event.as_str() == Some(reserved::LEAVE) => {
                self.answer_leave(&reference);
            }
            Letter::Push(Message { reference, .. }, _) => {
                let topic = Term::from(self.socket.topic());
                let payload = Refusal::new("unmatched topic").payload();
                self.socket.outlet().reply(
                    &Term::Null,
                    &reference,
                    &topic,
                    &ERROR,
                    &payload,
                    Urgency::MustSend,
                );
            }
            Letter::Broadcast(_) | Letter::Errand(_) | Letter::Closed => {}
        }
    }
}

impl<C: Channel> Drop for Server<C> {
    fn drop(&mut self) {
        if !self.finished {
            // The task was aborted.
            self.finish(&End::Overdue);
        }
        self.inbox.end(self.ended);
    }
}

/// What a panic said, where it said text.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
