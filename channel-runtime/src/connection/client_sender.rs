//! Sends for channels: an outbox with the serializer of its client.

use std::sync::Arc;

use super::outbox::{InterceptPermit, OutboundFrame, Outbox, Urgency};
use crate::protocol::{
    EncodeError, Frame, Payload, Push, Refusal, Reply, SharedFrame, SharedSerializer, Term,
};

use crate::telemetry::shown;

/// A connection's outbox with its serializer.
#[derive(Clone, Debug)]
pub(crate) struct ClientSender {
    outbox: Arc<Outbox>,
    serializer: SharedSerializer,
}

impl ClientSender {
    pub(crate) fn new(outbox: Arc<Outbox>, serializer: SharedSerializer) -> Self {
        ClientSender { outbox, serializer }
    }

    pub(crate) fn serializer(&self) -> &SharedSerializer {
        &self.serializer
    }

    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    pub(crate) fn send(&self, frame: Frame, urgency: Urgency) {
        self.outbox.send(OutboundFrame::Own(frame), urgency);
    }

    /// Sends a frame that many clients get. A client that reads too slowly may miss it.
    pub(crate) fn send_shared(&self, frame: &Arc<SharedFrame>) {
        self.outbox
            .send(OutboundFrame::Shared(frame), Urgency::MayDrop);
    }

    /// Reserves room for a broadcast of this many bytes that a channel handles first.
    pub(crate) fn intercept(&self, bytes: usize) -> Option<InterceptPermit> {
        self.outbox.intercept(bytes)
    }

    pub(crate) fn overflow(&self, channel: &'static str) {
        self.outbox.overflow(channel);
    }

    pub(crate) fn push(
        &self,
        join_ref: &Term,
        topic: &str,
        event: &str,
        payload: &Payload,
    ) -> Result<(), EncodeError> {
        self.push_message(join_ref, &Term::Null, topic, event, payload)
    }

    /// Does the same as [`ClientSender::push`], with a ref that the client answers to.
    pub(crate) fn push_with_ref(
        &self,
        join_ref: &Term,
        reference: &Term,
        topic: &str,
        event: &str,
        payload: &Payload,
    ) -> Result<(), EncodeError> {
        match payload.as_json() {
            Some(_) => self.push_message(join_ref, reference, topic, event, payload),
            None => Err(EncodeError::BinaryRequest),
        }
    }

    fn push_message(
        &self,
        join_ref: &Term,
        reference: &Term,
        topic: &str,
        event: &str,
        payload: &Payload,
    ) -> Result<(), EncodeError> {
        let push = Push {
            join_ref,
            reference,
            topic,
            event,
            payload,
        };
        if let Some(frame) = self.outbox.framing()
            && let Some(text) = self.serializer.push_behind_room(push)
        {
            let wire = frame(text.into_bytes());
            self.outbox
                .send(OutboundFrame::Wire(wire), Urgency::MustSend);
        } else {
            self.send(self.serializer.push(push)?, Urgency::MustSend);
        }
        Ok(())
    }

    /// Returns true if the reply was sent as intended, not replaced by an error.
    pub(crate) fn reply(
        &self,
        join_ref: &Term,
        reference: &Term,
        topic: &Term,
        status: &str,
        payload: &Payload,
        urgency: Urgency,
    ) -> bool {
        let reply = Reply {
            join_ref,
            reference,
            topic,
            status,
            payload,
        };
        if let Some(frame) = self.outbox.framing()
            && let Some(text) = self.serializer.reply_behind_room(reply)
        {
            let wire = frame(text.into_bytes());
            self.outbox.send(OutboundFrame::Wire(wire), urgency);
            return true;
        }
        let frame = match self.serializer.reply(reply) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(error = %shown(&error), "a reply cannot be sent; the client gets an error reply");
                let refusal = Refusal::new("reply cannot be sent")
                    .with("message", error.to_string())
                    .payload();
                let reply = Reply {
                    status: "error",
                    payload: &refusal,
                    ..reply
                };
                if let Ok(frame) = self.serializer.reply(reply) {
                    self.send(frame, urgency);
                }
                return false;
            }
        };
        self.send(frame, urgency);
        true
    }
}
