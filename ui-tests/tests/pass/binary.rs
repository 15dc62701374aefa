//! Binary messages, replies, refusals and events.

use channel_runtime::prelude::*;

#[derive(Event)]
#[event("chunk", binary)]
pub struct Chunk(Bytes);

#[derive(Event)]
#[event("block", binary)]
pub struct Block(pub Binary);

#[derive(Event)]
#[event("list", binary)]
pub struct List(Vec<u8>);

pub struct Files;

#[channel("files:*", pushes = [Chunk, Block, List], intercept = ["chunk", "raw"])]
impl Files {
    #[join]
    fn join(secret: Binary) -> Result<(Self, Binary), Refusal> {
        Ok((Files, secret))
    }

    #[handle_in("chunk")]
    async fn chunk(&mut self, chunk: Binary, socket: &Socket<Self>) -> Reply<Binary> {
        socket.broadcast(&Chunk(chunk.0.clone())).await?;
        socket.push(&Block(chunk.clone()))?;
        socket.push(&List(chunk.0.to_vec()))?;
        Ok(chunk)
    }

    #[handle_in("typed")]
    fn typed(&mut self, chunk: Chunk) -> Reply<Binary> {
        match chunk.0.is_empty() {
            true => Err(Refusal::binary(Bytes::new())),
            false => Ok(Binary(chunk.0)),
        }
    }

    #[handle_out("chunk")]
    fn deliver(&mut self, chunk: Chunk, socket: &Socket<Self>) -> Result<(), Error> {
        socket.push(&chunk)
    }

    #[handle_out("raw")]
    fn raw(&mut self, raw: Binary) {
        drop(raw);
    }
}

fn main() {}
