//! All other events, with their names.

use channel_runtime::prelude::*;

pub struct Echo;

#[channel("echo:*")]
impl Echo {
    #[join]
    fn join() -> Self {
        Echo
    }

    #[handle_in]
    async fn any(&mut self, event: &str, payload: Payload) -> Status<Payload> {
        match event {
            "teapot" => Status("teapot", payload),
            _ => Status("ok", payload),
        }
    }

    #[handle_in("silent")]
    fn silent(&mut self) {}
}

fn main() {}
