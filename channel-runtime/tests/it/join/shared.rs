//! Tests the state that the channels of a topic share on a node.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use channel_runtime::{
    LoadShared, Loading,
    prelude::*,
    test::{TestChannel, TestClient},
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};

/// Controls the loads of a test, and logs the events.
#[derive(Clone)]
struct App {
    /// A load takes a permit.
    gate: Arc<Semaphore>,
    log: mpsc::UnboundedSender<String>,
}

struct User;

#[socket(channels = [BoardChannel], state = App)]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

struct Board {
    board: u64,
    moves: AtomicU64,
    notes: Mutex<Vec<String>>,
    log: mpsc::UnboundedSender<String>,
}

impl LoadShared<BoardChannel> for Board {
    async fn load(loading: &Loading<'_, BoardChannel>) -> Result<Self, Refusal> {
        let board = BoardChannel::captures(loading.topic())?;
        let app = loading.state();
        app.log.send(format!("load {board}")).unwrap();
        app.gate.acquire().await.unwrap().forget();
        match board {
            404 => return Err(Refusal::new("no such board")),
            500 => panic!("the board is broken"),
            _ => {}
        }
        Ok(Board {
            board,
            moves: AtomicU64::new(0),
            notes: Mutex::default(),
            log: app.log.clone(),
        })
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let notes = self.notes.lock().join(" ");
        let _logged = self.log.send(format!("drop {} {notes}", self.board));
    }
}

struct BoardChannel;

#[channel("board:*", socket = User, shared = Board, shutdown = 1s)]
impl BoardChannel {
    #[before_join]
    fn may_see(topic: &Topic) -> Result<(), Refusal> {
        match topic.as_str() {
            "board:403" => Err(Refusal::new("forbidden")),
            _ => Ok(()),
        }
    }

    #[join("board:{board}")]
    fn join(board: u64, shared: &Shared<Board>, why: String) -> Result<(Self, u64), Refusal> {
        match why.as_str() {
            "stranger" => Err(Refusal::new("unauthorized")),
            _ => {
                assert_eq!(shared.board, board);
                Ok((BoardChannel, shared.moves.load(Ordering::Relaxed)))
            }
        }
    }

    #[handle_in("move")]
    async fn moved(&mut self, shared: &Shared<Board>, socket: &Socket<Self>) -> Reply<u64> {
        let moves = shared.moves.fetch_add(1, Ordering::Relaxed) + 1;
        assert_eq!(socket.shared().board, shared.board);
        Ok(moves)
    }

    #[terminate]
    fn terminate(self, shared: &Shared<Board>) {
        shared.notes.lock().push("left".to_owned());
    }
}

/// An endpoint, and its log; `permits` loads go through.
fn node(permits: usize) -> (Endpoint, App, mpsc::UnboundedReceiver<String>) {
    let (log, logged) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(permits));
    let app = App { gate, log };
    let builder = Endpoint::builder().socket::<User>("/socket");
    let endpoint = builder.with_state(app.clone()).build().unwrap();
    (endpoint, app, logged)
}

async fn client(endpoint: &Endpoint) -> TestClient {
    TestClient::connect(endpoint, ()).await.unwrap()
}

async fn joined(client: &TestClient, board: u64) -> TestChannel {
    let topic = format!("board:{board}");
    client.join(&topic, "friend").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_channels_of_a_topic_share_one_value() {
    let (endpoint, _app, mut log) = node(8);
    let (one, two) = (client(&endpoint).await, client(&endpoint).await);
    let first = joined(&one, 1).await;
    assert_eq!(first.push("move", ()).await.expect_ok::<u64>(), 1);
    let second = joined(&two, 1).await;
    assert_eq!(second.response::<u64>(), 1);
    assert_eq!(second.push("move", ()).await.expect_ok::<u64>(), 2);
    let other = joined(&one, 2).await;
    assert_eq!(other.response::<u64>(), 0);
    first.leave().await;
    assert_eq!(second.push("move", ()).await.expect_ok::<u64>(), 3);
    second.leave().await;
    let seen = [log.recv().await, log.recv().await, log.recv().await];
    let seen = seen.map(Option::unwrap);
    // Dropped once the last has left, after its `#[terminate]`, and before its client hears of it.
    assert_eq!(seen, ["load 1", "load 2", "drop 1 left left"]);
    assert_eq!(joined(&two, 1).await.response::<u64>(), 0);
    assert_eq!(log.recv().await.unwrap(), "load 1");
}

#[tokio::test(start_paused = true)]
async fn each_node_has_a_value_of_its_own() {
    let ((here, _app, _log), (there, _other, _also)) = (node(1), node(1));
    let (one, two) = (client(&here).await, client(&there).await);
    joined(&one, 1)
        .await
        .push("move", ())
        .await
        .expect_ok::<u64>();
    assert_eq!(joined(&two, 1).await.response::<u64>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_join_waits_for_the_load_that_another_began() {
    let (endpoint, app, mut log) = node(0);
    let (one, two) = (client(&endpoint).await, client(&endpoint).await);
    let first = one.join("board:1", "friend");
    assert_eq!(log.recv().await.unwrap(), "load 1");
    let second = two.join("board:1", "friend");
    app.gate.add_permits(1);
    assert!(first.await.is_ok() && second.await.is_ok());
    assert!(log.try_recv().is_err(), "loaded once");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_refuses_refuses_its_join() {
    let (endpoint, _app, mut log) = node(8);
    let client = client(&endpoint).await;
    for _ in 0..2 {
        let refused = client.join("board:404", "friend").await.unwrap_err();
        assert_eq!(refused.expect_refusal(), "no such board");
        assert_eq!(log.recv().await.unwrap(), "load 404");
    }
    let refused = client.join("board:x", "friend").await.unwrap_err();
    assert_eq!(refused.expect_refusal(), "invalid topic");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_join_has_nothing_loaded() {
    let (endpoint, _app, mut log) = node(8);
    let refused = client(&endpoint).await.join("board:403", "friend").await;
    assert_eq!(refused.unwrap_err().expect_refusal(), "forbidden");
    assert!(log.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_load_that_panics_refuses_its_join() {
    let (endpoint, _app, mut log) = node(8);
    let client = client(&endpoint).await;
    for _ in 0..2 {
        let refused = client.join("board:500", "friend").await.unwrap_err();
        assert_eq!(refused.expect_refusal(), "join crashed");
        assert_eq!(log.recv().await.unwrap(), "load 500");
    }
    joined(&client, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_refused_drops_what_it_loaded() {
    let (endpoint, _app, mut log) = node(8);
    let client = client(&endpoint).await;
    let refused = client.join("board:1", "stranger").await.unwrap_err();
    assert_eq!(refused.expect_refusal(), "unauthorized");
    assert_eq!(log.recv().await.unwrap(), "load 1");
    assert_eq!(log.recv().await.unwrap(), "drop 1 ");
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_loads_where_the_first_client_goes_away() {
    let (endpoint, app, mut log) = node(0);
    let (one, two) = (client(&endpoint).await, client(&endpoint).await);
    let _first = one.join("board:1", "friend");
    assert_eq!(log.recv().await.unwrap(), "load 1");
    let second = two.join("board:1", "friend");
    one.close().await;
    // The first join is dropped when its shutdown time is over.
    assert_eq!(log.recv().await.unwrap(), "load 1");
    app.gate.add_permits(1);
    assert!(second.await.is_ok());
}
