//! The room: a topic and an event for each ability of a channel.

use std::{panic::resume_unwind, time::Duration};

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    events::{
        BinCast, Elsewhere, FromMsg, NewMsg, Pushed, PushedBin, Question, Secret, TooLong, Welcome,
    },
    socket::UserSocket,
};

/// One client in one room.
pub(crate) struct Room;

/// The payload of a join.
#[derive(Deserialize)]
struct Enter {
    token: String,
}

/// The response to a join.
#[derive(Serialize)]
pub(crate) struct Entered {
    id: String,
}

/// Sent by a channel to itself once it is joined.
pub(crate) struct Greet;

/// The time to sleep, in milliseconds.
#[derive(Deserialize)]
pub(crate) struct Nap {
    ms: u64,
}

#[channel(
    "room:*",
    "exact",
    socket = UserSocket,
    intercept = ["secret"],
    pushes = [BinCast, FromMsg, NewMsg, Pushed, PushedBin, Question, Secret, TooLong, Welcome],
)]
impl Room {
    // Joining

    #[join("room:lobby")]
    fn lobby() -> Self {
        Room
    }

    #[join("exact")]
    fn exact() -> Self {
        Room
    }

    #[join("room:crash_join")]
    fn crash_join() -> Self {
        panic!("a join that crashes")
    }

    #[join("room:bad_return")]
    fn bad_join() -> Self {
        panic!("in a language without types, this join returned nonsense")
    }

    /// Blocks no other channel: a channel that waits has a task of its own.
    #[join("room:slow_join")]
    async fn slow_join() -> Self {
        sleep(Duration::from_millis(200)).await;
        Room
    }

    #[join("room:binjoin")]
    fn binary_join() -> (Self, Binary) {
        (Room, Binary::from(vec![1, 2, 3]))
    }

    /// Joins any other room. A payload that is no `Enter` at all is accepted too.
    #[join("room:{id}")]
    fn enter(
        id: String,
        enter: Payload,
        me: &ChannelRef<Self>,
    ) -> Result<(Self, Entered), Refusal> {
        if enter
            .decode()
            .is_ok_and(|enter: Enter| enter.token == "bad")
        {
            return Err(Refusal::new("unauthorized"));
        }
        if id.starts_with("welcome") {
            me.send(Greet);
        }
        Ok((Room, Entered { id }))
    }

    /// Runs after the client has the answer to its join.
    #[handle_info]
    fn greet(&mut self, _: Greet, socket: &Socket<Self>) -> Result<(), Error> {
        let topic = socket.topic().to_string();
        socket.push(&Welcome { topic })
    }

    // Replies

    /// Returns any payload, JSON or binary.
    #[handle_in("ping")]
    fn ping(&mut self, payload: Payload) -> Reply<Payload> {
        Ok(payload)
    }

    #[handle_in("ack")]
    fn ack(&mut self) -> Reply {
        Ok(())
    }

    #[handle_in("fail")]
    fn fail(&mut self) -> Reply {
        Err(Refusal::new("nope"))
    }

    #[handle_in("status")]
    fn status(&mut self) -> Status<Value> {
        Status("teapot", json!({"a": 1}))
    }

    #[handle_in("bin_echo")]
    fn bin_echo(&mut self, bytes: Binary) -> Reply<Binary> {
        Ok(bytes)
    }

    #[handle_in("bin_fail")]
    fn bin_fail(&mut self, bytes: Binary) -> Reply {
        Err(Refusal::binary(bytes))
    }

    /// Answers from another task, while the channel goes on.
    #[handle_in("async")]
    fn answer_later(&mut self, to: SocketRef) {
        tokio::spawn(async move {
            sleep(Duration::from_millis(50)).await;
            to.ok(json!({"async": true}));
        });
    }

    /// Blocks this channel, and no other.
    #[handle_in("sleep")]
    async fn sleep(&mut self, nap: Nap) -> Reply<Value> {
        sleep(Duration::from_millis(nap.ms)).await;
        Ok(json!({"slept": nap.ms}))
    }

    /// Asks the client itself, and replies with its answer.
    #[handle_in("ask")]
    async fn ask(&mut self, question: Value, socket: &Socket<Self>) -> Reply<Value> {
        let limit = Duration::from_secs(5);
        Ok(socket.request(&Question { question }, limit).await?)
    }

    // Broadcasts and pushes

    #[handle_in("new_msg")]
    async fn new_msg(&mut self, msg: NewMsg, socket: &Socket<Self>) -> Result<Answer, Refusal> {
        socket.broadcast(&msg).await?;
        Ok(Answer::none())
    }

    #[handle_in("from_msg")]
    async fn except_sender(&mut self, payload: Payload, socket: &Socket<Self>) -> Reply {
        socket.broadcast_from(&FromMsg(payload)).await?;
        Ok(())
    }

    #[handle_in("bin_cast")]
    async fn bin_cast(&mut self, bytes: Binary, socket: &Socket<Self>) -> Result<Answer, Refusal> {
        socket.broadcast(&BinCast(bytes)).await?;
        Ok(Answer::none())
    }

    #[handle_in("push_back")]
    fn push_back(&mut self, payload: Payload, socket: &Socket<Self>) -> Result<Answer, Refusal> {
        socket.push(&Pushed(payload))?;
        Ok(Answer::none())
    }

    #[handle_in("push_bin")]
    fn push_bin(&mut self, bytes: Binary, socket: &Socket<Self>) -> Result<Answer, Refusal> {
        socket.push(&PushedBin(bytes))?;
        Ok(Answer::none())
    }

    #[handle_in("push_then_reply")]
    fn push_then_reply(&mut self, payload: Payload, socket: &Socket<Self>) -> Reply<Payload> {
        socket.push(&Pushed(payload.clone()))?;
        Ok(payload)
    }

    /// Pushes an event that cannot be sent: an error here, and the client gets only the reply.
    #[handle_in("self_bcast_bin_long")]
    fn push_too_long(&mut self, socket: &Socket<Self>) -> Reply {
        socket.push(&TooLong)?;
        Ok(())
    }

    #[handle_in("unjoined_bcast")]
    async fn elsewhere(&mut self, endpoint: &Endpoint) -> Reply {
        endpoint.broadcast("room:other", &Elsewhere {}).await?;
        Ok(())
    }

    #[handle_in("secret")]
    async fn secret(&mut self, secret: Secret, socket: &Socket<Self>) -> Result<Answer, Refusal> {
        socket.broadcast(&secret).await?;
        Ok(Answer::none())
    }

    /// Sends a secret to every client, with the client's own name on it.
    #[handle_out("secret")]
    fn reveal(
        &mut self,
        mut secret: Secret,
        user: &UserSocket,
        socket: &Socket<Self>,
    ) -> Result<(), Error> {
        secret.seen_by = user.user.clone();
        socket.push(&secret)
    }

    // The end

    #[handle_in("stop")]
    fn stop(&mut self) -> Stop {
        Stop::normal()
    }

    #[handle_in("stop_reply")]
    fn stop_reply(&mut self) -> Stop {
        Stop::shutdown().ok(json!({"bye": true}))
    }

    #[handle_in("stop_shutdown_tuple")]
    fn stop_because(&mut self) -> Stop {
        Stop::shutdown_because("x")
    }

    #[handle_in("stop_other")]
    fn stop_other(&mut self) -> Stop {
        Stop::error("some other reason")
    }

    #[handle_in("stop_other_reply")]
    fn stop_other_reply(&mut self) -> Stop {
        Stop::error("some other reason").refuse(Refusal::json(&json!({"bye": 1})))
    }

    #[handle_in("crash")]
    fn crash(&mut self) {
        panic!("a handler that crashes")
    }

    #[handle_in("bad_return")]
    fn bad_return(&mut self) {
        panic!("in a language without types, this handler returned nonsense")
    }

    /// Ends the task silently: no panic message, and no stop.
    #[handle_in("exit_normal")]
    fn exit(&mut self) {
        resume_unwind(Box::new("exit"))
    }
}
