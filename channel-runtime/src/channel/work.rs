//! What a channel does in its turns: the join, one letter, and what the client hears of them.

use std::{panic::AssertUnwindSafe, time::Instant};

use futures_util::FutureExt;
use tracing::Instrument;

use super::telemetry;
use super::{
    Answer, Channel, Context, Joined, Reason, Socket, Step,
    answer::{ERROR, OK},
    letter::{Contexts, Letter},
    server::Joining,
};
use crate::{
    connection::Urgency,
    protocol::{Message, Payload, Push, Refusal, Term, reserved},
};

impl<C: Channel> Socket<C> {
    /// Waits until the topic is free, and joins.
    pub(super) async fn enter(&self, mut join: Box<Joining>) -> Option<C> {
        let former = join.predecessor.take();
        let replaced = match &former {
            Some(former) => former.wait().await.then_some(&former.join_ref),
            None => None,
        };
        let joined = self.join(*join).await;
        if let Some(join_ref) = replaced {
            self.say_end(join_ref, reserved::CLOSE, &Payload::empty());
        }
        joined
    }

    /// Runs the join, answers it and, when it is accepted, subscribes the client to the topic.
    async fn join(&self, message: Joining) -> Option<C> {
        let Joining {
            reference,
            payload,
            share,
            ..
        } = message;
        let started = Instant::now();
        let params = payload.clone();
        let cx = Context::new(self);
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
        let (join_ref, topic) = (self.join_ref(), Term::from(self.topic()));
        let outlet = self.outlet();
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
        telemetry::joined::<C>(
            self.topic(),
            outcome,
            started.elapsed(),
            &params,
            self.endpoint().filter(),
        );
        match joined {
            Joined::Accepted(channel, response) => {
                let mut answered = false;
                let topic = self.topic().clone();
                let pubsub = self.endpoint().pubsub();
                let prepared = pubsub.prepare(&topic).await;
                let subscription = pubsub.subscribe_then(
                    prepared,
                    topic,
                    self.channel_ref().id(),
                    self.inbox().clone(),
                    || answered = reply(join_ref, &OK, &response),
                );
                if answered {
                    self.keep(subscription);
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

    /// Hands a letter to its handler; why the channel is to end, where it is.
    pub(super) async fn take(&self, channel: &mut C, letter: &mut Letter<C>) -> Option<Reason> {
        match letter {
            Letter::Push(message, _) => self.handle_in(channel, message).await,
            Letter::Broadcast(broadcast, _) => {
                let cx = Context::for_event(self, broadcast.event(), &Term::Null);
                channel.handle_out(&cx, broadcast).run().await.stop
            }
            Letter::Errand(errand, _) => {
                let contexts = Contexts {
                    info: Context::new(self),
                    cast: Context::new(self),
                    call: Context::new(self),
                };
                let errand = errand.take()?;
                errand.run(channel, &contexts).run().await.stop
            }
            Letter::Leave(reference) => {
                self.answer_leave(reference);
                Some(Reason::Left)
            }
            Letter::Closed => Some(Reason::Closed),
        }
    }

    async fn handle_in(&self, channel: &mut C, message: &mut Message) -> Option<Reason> {
        let (reference, payload) = (&message.reference, std::mem::take(&mut message.payload));
        let event = match message.event.as_str() {
            Some(event) if !event.starts_with(reserved::PREFIX) => event,
            _ => {
                self.answer(reference, Answer::unknown_event());
                return None;
            }
        };
        let cx = Context::for_event(self, event, reference);
        let probe = telemetry::HandleIn::<C>::begin(self.topic(), event, &payload);
        let span = probe.span();
        // A handler that is not async runs at once, so the call itself stands in the span.
        let answer = match span.in_scope(|| channel.handle_in(&cx, payload)) {
            Step::Ready(answer) => answer,
            Step::Pending(answer) => answer.instrument(span).await,
        };
        probe.finish(&answer, self.endpoint().filter());
        let stop = answer.stop.clone();
        self.answer(reference, answer);
        stop
    }

    fn answer(&self, reference: &Term, answer: Answer) {
        self.inbox().answered();
        let (join_ref, topic) = (self.join_ref(), self.topic());
        answer.send(self.outlet(), join_ref, reference, topic);
    }

    fn answer_leave(&self, reference: &Term) {
        let (join_ref, topic) = (self.join_ref(), Term::from(self.topic()));
        let empty = Payload::empty();
        self.outlet()
            .reply(join_ref, reference, &topic, &OK, &empty, Urgency::MustSend);
    }

    /// `phx_close` or `phx_error`, with the join_ref as ref too.
    pub(super) fn say_end(&self, join_ref: &Term, event: &str, payload: &Payload) {
        let outlet = self.outlet();
        let push = Push {
            join_ref,
            reference: join_ref,
            topic: self.topic(),
            event,
            payload,
        };
        if let Ok(frame) = outlet.serializer().push(push) {
            outlet.send(frame, Urgency::Final);
        }
    }

    /// What the client hears of a message that came too late.
    pub(super) fn answer_late(&self, letter: Letter<C>) {
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
                let topic = Term::from(self.topic());
                let payload = Refusal::new("unmatched topic").payload();
                self.outlet().reply(
                    &Term::Null,
                    &reference,
                    &topic,
                    &ERROR,
                    &payload,
                    Urgency::MustSend,
                );
            }
            Letter::Broadcast(..) | Letter::Errand(..) | Letter::Closed => {}
        }
    }
}
