//! Gates, limits and proofs: in generic channels, under conditions, with every borrowed type.

use channel_runtime::{ prelude::*, handler::ChannelSocket};

pub struct User;

#[socket(channels = [Room<u8>])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

pub enum No {
    Closed,
}

impl From<No> for Refusal {
    fn from(_: No) -> Self {
        Refusal::new("closed")
    }
}

pub mod auth {
    pub struct Admin;
}

impl<T: Send + Sync + 'static> Proof<Room<T>> for auth::Admin {
    fn prove(room: &Room<T>, socket: &Socket<Room<T>>) -> Result<Self, Refusal> {
        let _: (&User, &Option<T>) = (socket.user(), &room.0);
        Ok(auth::Admin)
    }
}

pub struct Room<T>(Option<T>);

#[channel(
    "room:*",
    socket = User,
    proofs = [auth::Admin],
    rate_limit(per_second = 5, burst = 10),
    rate_limit(per_hour = 1_000, by = user),
)]
impl<T: Send + Sync + 'static> Room<T> {
    #[before_join]
    async fn may_join(
        topic: &Topic,
        user: &User,
        info: &ConnectInfo,
        endpoint: &Endpoint,
        me: &ChannelRef<Self>,
    ) -> Result<(), No> {
        let _ = (topic, user, info, endpoint, me);
        Err(No::Closed)
    }

    #[cfg(any())]
    #[before_join]
    fn not_there(nothing: &Nothing) -> Result<(), No> {
        Ok(())
    }

    #[join]
    fn join() -> Self {
        Room(None)
    }

    #[before_handle_in]
    fn count(&mut self) {
        self.0 = None;
    }

    #[before_handle_in]
    async fn is_open(&self, event: &str, socket: &Socket<Self>, user: &User) -> Result<(), No> {
        let _ = (event, socket, user, &self.0);
        Ok(())
    }

    #[handle_in("ban", rate_limit(per_minute = 5, by = client))]
    async fn ban(&mut self, who: String, admin: &auth::Admin, socket: &Socket<Self>) -> Reply {
        let _ = (who, admin, socket);
        Ok(())
    }

    #[cfg(any())]
    #[handle_in("not_there", rate_limit(per_second = 1))]
    fn not_there_either(&mut self) {}

    #[handle_in("later")]
    fn later(&mut self, to: SocketRef, _: &auth::Admin, user: &User) {
        let _ = user;
        to.ok(());
    }
}

fn main() {
    let _ = User::routes();
}
