//! Blocks inside a function, as in tests.

use channel_runtime::prelude::*;

fn serve<S: channel_runtime::handler::ChannelSocket>() {}

fn main() {
    #[derive(serde::Serialize, Event)]
    #[event("pong")]
    struct Pong {}

    struct Room;

    #[channel("room:*", pushes = [Pong])]
    impl Room {
        #[join]
        fn join() -> Self {
            Room
        }

        #[handle_in("ping")]
        fn ping(&mut self, socket: &Socket<Self>) -> Result<(), Error> {
            socket.push(&Pong {})
        }
    }

    struct User;

    #[socket(channels = [Room])]
    impl User {
        #[connect]
        fn connect() -> Self {
            User
        }
    }

    serve::<User>();
}
