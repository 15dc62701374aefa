//! A socket, its channels and its events, each in a separate module.

mod user {
    use channel_runtime::prelude::*;

    pub struct User {
        pub name: String,
    }

    #[socket(channels = [super::room::Room, crate::lobby::Lobby])]
    impl User {
        #[connect]
        async fn connect(info: &ConnectInfo, endpoint: &Endpoint, params: &Params) -> Option<Self> {
            let _ = (info, endpoint);
            Some(User {
                name: params.get("name")?,
            })
        }

        #[id]
        fn id(&self) -> &str {
            &self.name
        }
    }
}

mod events {
    #[derive(serde::Serialize, channel_runtime::Event)]
    #[event("greeting")]
    pub struct Greeting {
        pub name: String,
    }
}

mod room {
    use channel_runtime::prelude::*;

    pub struct Room;

    #[channel("room:*", socket = super::user::User, pushes = [super::events::Greeting])]
    impl Room {
        #[join]
        fn join(user: &super::user::User) -> Self {
            let _ = &user.name;
            Room
        }

        #[handle_in("greet")]
        fn greet(&mut self, user: &crate::user::User, socket: &Socket<Self>) -> Reply {
            socket.push(&super::events::Greeting {
                name: user.name.clone(),
            })?;
            Ok(())
        }
    }
}

mod lobby {
    pub struct Lobby;

    #[channel_runtime::channel("lobby")]
    impl self::Lobby {
        #[join]
        fn join() -> Self {
            Lobby
        }
    }
}

fn main() {}
