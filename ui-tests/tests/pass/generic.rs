//! A channel that is generic over its backend, in every generated thing.

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

pub trait Backend: Send + Sync + 'static {
    type Id: Send + 'static;
    fn name(&self) -> &str;
}

pub struct Room<B, const LIMIT: usize>
where
    B: Backend,
{
    backend: B,
}

#[derive(Serialize, Deserialize, Event)]
#[event("named")]
pub struct Named {
    name: String,
}

pub struct Tick<T>(T);
pub struct Ask;

#[channel("room:*", intercept = ["named"], pushes = [Named])]
impl<B, const LIMIT: usize> Room<B, LIMIT>
where
    B: Backend + Default,
{
    const SIZE: usize = LIMIT * 2;

    #[join("room:{id}")]
    fn join(id: u8, me: &ChannelRef<Self>) -> Result<Self, Refusal> {
        let _ = (id, me);
        Ok(Room {
            backend: B::default(),
        })
    }

    #[handle_in("name")]
    async fn name(&mut self, socket: &Socket<Self>) -> Reply<usize> {
        socket.push(&Named {
            name: self.backend.name().to_owned(),
        })?;
        Ok(Self::SIZE)
    }

    #[handle_out("named")]
    async fn named(&mut self, _: Named) {}

    #[handle_info]
    fn tick(&mut self, Tick(id): Tick<B::Id>) {
        drop(id);
    }

    #[handle_call]
    async fn ask(&mut self, _: Ask, to: Caller<B::Id>) {
        drop(to);
    }
}

fn main() {}
