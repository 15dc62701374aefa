//! A block written by another macro: its types and literals come in invisible groups.

use channel_runtime::prelude::*;

macro_rules! room {
    ($name:ident, $topic:literal, $payload:ty, $socket:ty) => {
        pub struct $name;

        #[channel($topic, socket = $socket)]
        impl $name {
            #[join]
            fn join(_: &$socket) -> Self {
                $name
            }

            #[handle_in("payload")]
            fn payload(&mut self, payload: $payload, socket: &Socket<$name>) -> Reply<$payload> {
                let _ = socket;
                Ok(payload)
            }

            #[handle_info]
            fn info(&mut self, _: $payload) {}
        }
    };
}

room!(Small, "small:*", u8, User);
room!(Large, "large:*", Vec<u64>, User);

pub struct User;

#[socket(channels = [Small, Large])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
