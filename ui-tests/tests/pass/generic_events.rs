//! Events with parameters of their own, and without a body.

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event("value")]
pub struct Value<T> {
    value: T,
}

#[derive(Serialize, Event)]
#[event("borrowed")]
pub struct Borrowed<'a> {
    text: &'a str,
}

#[derive(Serialize, Event)]
#[event("unit")]
pub struct Unit;

#[derive(Serialize, Deserialize, Event)]
#[event("choice")]
pub enum Choice {
    One,
    Two { of: u8 },
}

pub struct Room;

#[channel("room:*", pushes = [Value<u8>, Unit, Choice], intercept = ["value", "choice"])]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("unit")]
    fn unit(&mut self, socket: &Socket<Self>) -> Reply {
        socket.push(&Unit)?;
        Ok(())
    }

    #[handle_out("value")]
    fn value(&mut self, value: Value<u8>, socket: &Socket<Self>) -> Result<(), Error> {
        socket.push(&Value {
            value: value.value + 1,
        })
    }

    #[handle_out("choice")]
    fn choice(&mut self, choice: Choice, socket: &Socket<Self>) -> Result<(), Error> {
        match choice {
            Choice::One | Choice::Two { of: 0 } => Ok(()),
            choice => socket.push(&choice),
        }
    }
}

fn main() {
    assert_eq!(Borrowed::NAME, "borrowed");
    let payload = Borrowed { text: "a" }.to_payload().unwrap();
    assert_eq!(payload.as_json(), Some(r#"{"text":"a"}"#));
}
