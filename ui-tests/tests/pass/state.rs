//! The application's state: of any type, behind any path, in every role.

use std::sync::Arc;

use channel_runtime::{FromRef, prelude::*};

pub struct Db;

pub mod app {
    #[derive(Clone)]
    pub struct App<T> {
        pub value: T,
    }
}

/// A state of another crate.
pub struct Shared;

#[socket(channels = [Plain, Rows], state = Arc<str>)]
impl Shared {
    #[connect]
    fn connect(name: &Arc<str>, endpoint: &Endpoint) -> Self {
        let _ = (name, endpoint);
        Shared
    }
}

pub struct Rows;

#[channel("rows:*", socket = Shared)]
impl Rows {
    #[join]
    fn join(name: &Arc<str>, socket: &Shared, topic: &Topic) -> Self {
        let _ = (name, socket, topic);
        Rows
    }
}

/// Belongs to every socket.
pub struct Plain;

#[channel("plain")]
impl Plain {
    #[join]
    fn join() -> Self {
        Plain
    }
}

/// A generic state.
pub struct Named;

#[socket(channels = [Plain, Room], state = app::App<Db>)]
impl Named {
    #[connect]
    async fn connect(app: &app::App<Db>) -> Option<Self> {
        let _ = &app.value;
        Some(Named)
    }
}

pub struct Room;

#[channel("room:*", socket = Named)]
impl Room {
    #[join]
    async fn join(app: &app::App<Db>) -> Result<Self, Refusal> {
        let _ = app;
        Ok(Room)
    }

    #[handle_in("ping")]
    async fn ping(&mut self, text: String, app: &app::App<Db>, socket: &Socket<Self>) {
        let _: &app::App<Db> = socket.state();
        let _ = (text, app);
    }

    #[terminate]
    fn terminate(self, app: &app::App<Db>) {
        let _ = app;
    }
}

/// A socket that is generic itself.
pub struct Of<T>(T);

#[socket(channels = [OfRoom<T>], state = Arc<T>)]
impl<T: Default + Send + Sync + 'static> Of<T> {
    #[connect]
    fn connect(_: &Arc<T>) -> Self {
        Of(T::default())
    }
}

pub struct OfRoom<T>(Arc<T>);

#[channel("of:*", socket = Of<T>)]
impl<T: Default + Send + Sync + 'static> OfRoom<T> {
    #[join]
    fn join(state: &Arc<T>, socket: &Of<T>) -> Self {
        let _ = &socket.0;
        OfRoom(state.clone())
    }

    #[handle_in("ping")]
    fn ping(&mut self, state: &Arc<T>) -> Reply<bool> {
        Ok(Arc::ptr_eq(&self.0, state))
    }
}

#[derive(Clone)]
pub struct Everything;

impl FromRef<Everything> for app::App<Db> {
    fn from_ref(_: &Everything) -> Self {
        app::App { value: Db }
    }
}

impl FromRef<Everything> for Arc<str> {
    fn from_ref(_: &Everything) -> Self {
        "".into()
    }
}

fn main() {
    let all = Endpoint::builder()
        .socket::<Shared>("/a")
        .socket::<Named>("/b")
        .with_state(Everything);
    let more = all.socket::<Of<u8>>("/c").with_state(Arc::new(0));
    more.build().unwrap();
}
