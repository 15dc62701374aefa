//! The application's state: in `#[connect]`, joins and handlers, whole or in part.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use channel_runtime::{FromRef, prelude::*, test::TestClient};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default)]
struct App {
    name: &'static str,
    posts: Arc<AtomicUsize>,
}

/// The part of the state that devices see.
struct Names(&'static str);

impl FromRef<App> for Names {
    fn from_ref(app: &App) -> Self {
        Names(app.name)
    }
}

#[derive(Serialize, Deserialize, Event)]
#[event("count")]
struct Count(usize);

struct Tick;

struct Page {
    seen: &'static str,
}

#[socket(channels = [Room], state = App)]
impl Page {
    #[connect]
    async fn connect(app: &App) -> Result<Self, Refusal> {
        match app.name {
            "closed" => Err(Refusal::new("closed")),
            seen => Ok(Page { seen }),
        }
    }
}

struct Room;

#[channel("room:*", socket = Page, intercept = ["count"], pushes = [Count])]
impl Room {
    #[join]
    fn join(app: &App, page: &Page) -> (Self, [&'static str; 2]) {
        (Room, [app.name, page.seen])
    }

    #[handle_in("post")]
    async fn post(&mut self, app: &App, socket: &Socket<Self>) -> Reply<usize> {
        let posts = app.posts.fetch_add(1, Ordering::Relaxed) + 1;
        socket.broadcast(&Count(posts)).await?;
        Ok(socket.state().posts.load(Ordering::Relaxed))
    }

    #[handle_out("count")]
    fn counted(&mut self, app: &App, count: Count, socket: &Socket<Self>) -> Result<(), Error> {
        socket.push(&Count(count.0 + app.posts.load(Ordering::Relaxed)))
    }

    #[handle_in("tick")]
    async fn tick(&mut self, me: &ChannelRef<Self>) {
        me.send(Tick);
    }

    #[handle_info]
    fn ticked(&mut self, _: Tick, app: &App, socket: &Socket<Self>) -> Result<(), Error> {
        socket.push(&Count(app.posts.load(Ordering::Relaxed)))
    }

    #[terminate]
    fn terminate(self, app: &App) {
        app.posts.fetch_add(100, Ordering::Relaxed);
    }
}

struct Device;

#[socket(channels = [Names1], state = Names)]
impl Device {
    #[connect]
    fn connect() -> Self {
        Device
    }
}

struct Names1;

#[channel("names", socket = Device)]
impl Names1 {
    #[join]
    fn join(names: &Names) -> (Self, &'static str) {
        (Names1, names.0)
    }
}

fn app(name: &'static str) -> App {
    let posts = Arc::default();
    App { name, posts }
}

fn endpoint(app: App) -> Endpoint {
    let builder = Endpoint::builder().socket::<Page>("/page");
    let builder = builder.socket::<Device>("/device").with_state(app);
    builder.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_role_is_lent_the_state() {
    let app = app("chat");
    let client = TestClient::connect(&endpoint(app.clone()), ()).await;
    let client = client.unwrap();
    let room = client.join("room:1", ()).await.unwrap();
    assert_eq!(room.response::<[String; 2]>(), ["chat", "chat"]);
    assert_eq!(room.push("post", ()).await.expect_ok::<usize>(), 1);
    assert_eq!(room.expect::<Count>().await.0, 2);
    room.cast("tick", ());
    assert_eq!(room.expect::<Count>().await.0, 1);
    room.leave().await;
    assert_eq!(app.posts.load(Ordering::Relaxed), 101);
}

#[tokio::test(start_paused = true)]
async fn a_connect_decides_by_the_state() {
    let refused = TestClient::connect(&endpoint(app("closed")), ()).await;
    assert_eq!(refused.unwrap_err().reason(), Some("closed"));
}

#[tokio::test(start_paused = true)]
async fn a_socket_takes_its_part_of_the_state() {
    let endpoint = endpoint(app("chat"));
    let device = TestClient::builder(&endpoint).path("/device");
    let device = device.connect().await.unwrap();
    let names = device.join("names", ()).await.unwrap();
    assert_eq!(names.response::<String>(), "chat");
}

#[tokio::test(start_paused = true)]
async fn sockets_have_states_of_their_own_where_each_is_given_one() {
    let endpoint = Endpoint::builder()
        .socket::<Page>("/page")
        .with_state(app("chat"))
        .socket::<Device>("/device")
        .with_state(app("devices"))
        .build()
        .unwrap();
    let page = TestClient::connect_at(&endpoint, "/page", ()).await;
    let device = TestClient::connect_at(&endpoint, "/device", ()).await;
    let (page, device) = (page.unwrap(), device.unwrap());
    let room = page.join("room:1", ()).await.unwrap();
    let names = device.join("names", ()).await.unwrap();
    assert_eq!(room.response::<[String; 2]>(), ["chat", "chat"]);
    assert_eq!(names.response::<String>(), "devices");
}

#[tokio::test(start_paused = true)]
async fn one_client_of_a_test_has_another_state() {
    let endpoint = endpoint(app("chat"));
    let client = TestClient::builder(&endpoint)
        .path("/page")
        .state(app("test"));
    let client = client.connect().await.unwrap();
    let room = client.join("room:1", ()).await.unwrap();
    assert_eq!(room.response::<[String; 2]>(), ["test", "test"]);
    let other = TestClient::connect(&endpoint, ()).await.unwrap();
    let room = other.join("room:1", ()).await.unwrap();
    assert_eq!(room.response::<[String; 2]>(), ["chat", "chat"]);
}

#[tokio::test(start_paused = true)]
#[should_panic(
    expected = "the state of `Device` is `it::join::state::Names`, not `it::join::state::App`"
)]
async fn a_test_gives_the_state_that_the_socket_has() {
    let endpoint = endpoint(app("chat"));
    let client = TestClient::builder(&endpoint).path("/device");
    let _connected = client.state(app("test")).connect().await;
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_is_expected_as_well_as_a_push() {
    let endpoint = endpoint(app("chat"));
    let client = TestClient::builder(&endpoint).path("/device");
    let client = client.connect().await.unwrap();
    let names = client.join("names", ()).await.unwrap();
    endpoint.broadcast("names", &Count(7)).await.unwrap();
    assert_eq!(names.expect::<Count>().await.0, 7);
}
