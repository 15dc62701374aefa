//! The generated code of a method exists if the method does.

#![allow(unexpected_cfgs)]

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event("secret")]
pub struct Secret {}

pub struct Tick;

#[cfg(feature = "nonexistent")]
pub struct Absent;

pub struct Room;

#[channel("room:*", intercept = ["secret"])]
impl Room {
    #[cfg(feature = "nonexistent")]
    #[join("room:{id}")]
    fn numbered(id: Absent) -> Self {
        Room
    }

    #[join]
    fn join() -> Self {
        Room
    }

    #[cfg(unix)]
    #[handle_in("ping")]
    fn ping(&mut self) {}

    #[cfg(not(unix))]
    #[handle_in("ping")]
    fn ping(&mut self) -> Reply {
        Ok(())
    }

    #[cfg(feature = "nonexistent")]
    #[handle_in]
    fn any(&mut self, payload: Absent) {}

    #[cfg(feature = "nonexistent")]
    #[handle_out("secret")]
    fn secret(&mut self, secret: Absent) {}

    #[cfg(feature = "nonexistent")]
    #[handle_info]
    fn absent(&mut self, _: Absent) {}

    #[cfg(all(unix, not(feature = "nonexistent")))]
    #[handle_info]
    fn tick(&mut self, _: Tick) {}

    #[cfg(not(all(unix, not(feature = "nonexistent"))))]
    #[handle_info]
    fn tick(&mut self, _: Tick) {}

    #[cfg(feature = "nonexistent")]
    #[terminate]
    fn bye(self, _: &Absent) {}
}

pub struct User;

#[socket(channels = [Room])]
impl User {
    #[cfg(not(feature = "nonexistent"))]
    #[connect]
    fn connect() -> Self {
        User
    }

    #[cfg(feature = "nonexistent")]
    #[connect]
    fn connect(absent: Absent) -> Self {
        User
    }

    #[cfg(feature = "nonexistent")]
    #[id]
    fn id(&self) -> Absent {
        Absent
    }
}

fn main() {
    assert!(<Room as channel_runtime::handler::Channel>::INTERCEPTS.is_empty());
}
