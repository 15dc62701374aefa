use std::sync::Arc;

use channel_runtime::{
    Answer, Broadcast, Error, Event, FromPayload, Payload, PayloadError, Reason, Refusal, Reply, Socket, Stop, Topic, handler::{Channel, ChannelOptions, Context, NoReply, InfoFor, Joined, Provide, PushedBy, HandlerFuture, role}};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub struct Post {
    pub body: String,
}

#[derive(Serialize, Deserialize)]
pub struct Posted {
    pub body: String,
}

impl Event for Posted {
    const NAME: &'static str = "posted";

    fn to_payload(&self) -> Result<Payload, Error> {
        Payload::json(self)
    }
}

#[derive(Serialize)]
pub struct Count {
    pub posts: u64,
}

pub struct Tick;

pub struct Room0 {
    id: u32,
    posts: u64,
}

impl Room0 {
    async fn join(id: u32) -> Result<Self, Refusal> {
        if id == 0 {
            return Err(Refusal::new("unauthorized"));
        }
        Ok(Room0 { id, posts: 0 })
    }

    async fn post(&mut self, post: Post, socket: &Socket<Self>) -> Reply {
        if post.body.is_empty() {
            return Err(Refusal::new("empty"));
        }
        self.posts += 1;
        Ok(socket.broadcast(&Posted { body: post.body }).await?)
    }

    async fn whisper(&mut self, post: Post, socket: &Socket<Self>) -> Result<(), Refusal> {
        Ok(socket.push(&Posted { body: post.body })?)
    }

    fn count(&mut self) -> Reply<Count> {
        Ok(Count { posts: self.posts })
    }

    fn echo(&mut self, payload: Payload) -> Reply<Payload> {
        Ok(payload)
    }

    fn topic(&mut self, topic: &Topic) -> Reply<String> {
        Ok(topic.as_str().to_owned())
    }

    fn reset(&mut self) {
        self.posts = 0;
    }

    fn leave(&mut self) -> Stop {
        Stop::normal()
    }

    fn posted(&mut self, posted: Posted, socket: &Socket<Self>) -> Result<(), Error> {
        socket.push(&posted)
    }

    fn tick(&mut self, _tick: Tick) {
        self.posts += 1;
    }

    fn terminate(self, reason: Reason) {
        let _both = (self.id, reason);
    }
}

fn reply<T: channel_runtime::handler::IntoReply>(reply: Reply<T>) -> Answer {
    match reply {
        Ok(response) => Answer::ok(response),
        Err(refusal) => Answer::refuse(refusal),
    }
}

impl Channel for Room0 {
    type Socket = ();
    type Extension = ();
    type Shared = ();
    const NAME: &'static str = "Room0";
    const TOPICS: &'static [&'static str] = &["room0:*"];
    const INTERCEPTS: &'static [&'static str] = &["posted"];
    const OPTIONS: ChannelOptions = ChannelOptions::DEFAULT;

    fn join<'a>(cx: &'a Context<'a, Self, role::join>, _: Payload) -> Result<HandlerFuture<'a, Joined<Self>>, Refusal> {
        let Some(id) = cx.topic().as_str().strip_prefix("room0:") else {
            return Ok(HandlerFuture::ready(Joined::Unmatched));
        };
        let Ok(id) = id.parse() else {
            return Err(Refusal::new("invalid topic"));
        };
        Ok(HandlerFuture::pending(async move {
            match Room0::join(id).await {
                Ok(room) => Joined::Accepted(room, Payload::empty()),
                Err(refusal) => Joined::Refused(refusal),
            }
        }))
    }

    fn handle_in<'a>(
        &'a mut self,
        cx: &'a Context<'a, Self, role::handle_in>,
        payload: Payload,
    ) -> Result<HandlerFuture<'a, Answer>, Refusal> {
        let socket: &Socket<Self> = cx.provide();
        Ok(match cx.event() {
            "post" => {
                let post = Post::from_payload(payload)?;
                HandlerFuture::pending(async move { reply(self.post(post, socket).await) })
            }
            "whisper" => {
                let post = Post::from_payload(payload)?;
                HandlerFuture::pending(async move {
                    match self.whisper(post, socket).await {
                        Ok(()) => Answer::ok(()),
                        Err(refusal) => Answer::refuse(refusal),
                    }
                })
            }
            "count" => HandlerFuture::ready(reply(self.count())),
            "echo" => HandlerFuture::ready(reply(self.echo(payload))),
            "topic" => HandlerFuture::ready(reply(self.topic(cx.topic()))),
            "reset" => {
                self.reset();
                HandlerFuture::ready(Answer::none())
            }
            "leave" => HandlerFuture::ready(Answer::ok(self.leave())),
            _ => HandlerFuture::ready(Answer::refuse(Refusal::new("unknown event"))),
        })
    }

    fn handle_out<'a>(
        &'a mut self,
        cx: &'a Context<'a, Self, role::handle_out>,
        broadcast: &'a Broadcast,
    ) -> Result<HandlerFuture<'a, NoReply>, PayloadError> {
        if cx.event() == "posted"
            && let Ok(posted) = Posted::from_payload(broadcast.payload().clone())
            && let Err(error) = self.posted(posted, cx.provide())
        {
            let ended = channel_runtime::handler::IntoNoReply::into_no_reply(Err::<(), _>(error));
            return Ok(HandlerFuture::ready(ended));
        }
        Ok(HandlerFuture::ready(NoReply::CONTINUE))
    }

    fn terminate<'a>(
        self,
        _: &'a Context<'a, Self, role::terminate>,
        reason: Reason,
    ) -> HandlerFuture<'a, ()> {
        HandlerFuture::ready(Room0::terminate(self, reason))
    }
}

impl PushedBy<Room0> for Posted {}

impl InfoFor<Room0> for Tick {
    fn handle<'a>(
        self,
        channel: &'a mut Room0,
        _: &'a Context<'a, Room0, role::handle_info>,
    ) -> HandlerFuture<'a, NoReply> {
        channel.tick(self);
        HandlerFuture::ready(NoReply::CONTINUE)
    }
}
