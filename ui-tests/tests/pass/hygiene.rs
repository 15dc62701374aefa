//! A user's own names never clash with those of the generated code.

#![allow(non_upper_case_globals, non_camel_case_types, dead_code)]

use channel_runtime::prelude::{Broadcast, Caller, Payload as Body, SocketRef, channel, socket};

const payload: u8 = 1;
const topic: u8 = 1;
const cx: u8 = 1;
const binary: u8 = 1;
const refusal: u8 = 1;
const value: u8 = 1;
const error: u8 = 1;
const argument_0: u8 = 1;
const capture_id: u8 = 1;
const message: u8 = 1;
const caller: u8 = 1;
const reason: u8 = 1;
const params: u8 = 1;
const broadcast: u8 = 1;

struct Result;
struct Option;
struct String;
struct Vec;
struct Some;
struct Ok;
struct Err;
struct Context;
struct HandlerFuture;
struct Payload;
struct str;
struct ROUTES;

mod core {}
mod std {}

pub struct Ask;

pub struct Channel;

#[channel("a:*", intercept = ["b"])]
impl Channel {
    #[join("a:{id}")]
    async fn join(id: u8) -> Self {
        let _ = id;
        Channel
    }

    #[handle_in("a")]
    fn handle_in(&mut self, _: Body, to: SocketRef) {
        to.ignore();
    }

    #[handle_out("b")]
    fn handle_out(&mut self, _: Body) {}

    #[handle_info]
    async fn handle(&mut self, _: Broadcast) {}

    #[handle_call]
    async fn socket(&mut self, _: Ask, to: Caller<u8>) {
        to.reply(1);
    }

    #[terminate]
    fn terminate(self) {}
}

pub struct User;

#[socket(channels = [Channel])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
