//! The runtime under another name.

extern crate channel_runtime as rt;

use rt::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("hello", crate = crate::rt)]
pub struct Hello {}

pub struct Room;

#[channel("room:*", pushes = [Hello], socket = User, crate = crate::rt)]
impl Room {
    #[join]
    fn join(_: &User) -> Self {
        Room
    }

    #[handle_in("hello")]
    fn hello(&mut self, socket: &Socket<Self>) -> Reply {
        socket.push(&Hello {})?;
        Ok(())
    }
}

pub struct User;

#[socket(channels = [Room], crate = "crate::rt")]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
