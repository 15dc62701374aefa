//! The user's own types with the names of extractors, and replies that borrow.

use channel_runtime::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Json<T>(T);

pub struct Room {
    name: String,
}

#[channel("room:*")]
impl Room {
    #[join("room:{name}")]
    fn join(name: String) -> Self {
        Room { name }
    }

    #[handle_in("json")]
    fn json(&mut self, Json(number): Json<u8>) -> Reply<u8> {
        Ok(number)
    }

    #[handle_in("name")]
    async fn name(&self) -> Reply<&str> {
        Ok(&self.name)
    }

    #[handle_in("failing")]
    async fn failing(&self, file: String) -> Reply<String, InternalError> {
        if file.is_empty() {
            return Err(Refusal::new("empty").into());
        }
        let boxed: Result<(), Box<dyn std::error::Error + Send + Sync>> = Ok(());
        boxed?;
        let text: Result<(), String> = Ok(());
        text?;
        Ok(std::fs::read_to_string(file)?)
    }
}

fn main() {}
