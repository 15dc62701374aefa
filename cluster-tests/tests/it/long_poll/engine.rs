use std::time::Duration;

use cluster_tests::{
    engine::{Engine, Kind},
    node::{Node, impatient},
    poller::Poller,
    room::Said,
    table::{Row, is_whole, print, row},
};

/// The time that a request waits for the engine: longer than the engine is away.
const WINDOW: Duration = Duration::from_secs(30);

/// The time that the engine is away: longer than the nodes wait for it.
const AWAY: Duration = Duration::from_secs(8);

/// Runs a client whose session is on the first of three nodes while the engine goes away and comes
/// back; that node broadcasts all the time.
async fn polled(kind: Kind, away: impl AsyncFnOnce(&mut Engine)) -> (Row, usize) {
    const EACH: u64 = 200;
    let mut engine = Engine::start(kind, "");
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        let url = engine.url();
        let node = Node::connect_with(&url, impatient().node(name), WINDOW);
        nodes.push(node.await.unwrap());
    }
    let addresses = [0, 1, 2].map(|at: usize| nodes[at].address);
    let poller = Poller::joined(&addresses, "poller", "room:1").await;
    let say = async |numbers: std::ops::RangeInclusive<u64>| {
        for n in numbers {
            // The other nodes get nothing meanwhile, which does not matter here.
            let _unheard = nodes[0].endpoint.broadcast("room:1", &Said::new(n)).await;
        }
    };
    say(1..=EACH).await;
    poller.saw(EACH).await;
    let talk = async {
        for n in EACH + 1..=2 * EACH {
            say(n..=n).await;
            tokio::time::sleep(AWAY / 100).await;
        }
    };
    tokio::join!(talk, away(&mut engine));
    say(2 * EACH + 1..=3 * EACH).await;
    poller.saw(3 * EACH).await;
    (
        row("poller", 1..=3 * EACH, &poller.numbers()),
        poller.sessions(),
    )
}

pub(crate) async fn an_engine_is_paused_and_nothing_of_the_sessions_node_is_lost(kind: Kind) {
    let away = async |engine: &mut Engine| {
        engine.pause();
        tokio::time::sleep(AWAY).await;
        engine.resume();
    };
    let (row, sessions) = polled(kind, away).await;
    print(
        &format!("{kind:?} paused for {AWAY:?}, a session of another node"),
        std::slice::from_ref(&row),
    );
    assert!(
        is_whole(&row) && sessions == 1,
        "{row:?}, {sessions} sessions"
    );
}

pub(crate) async fn an_engine_is_killed_and_nothing_of_the_sessions_node_is_lost(kind: Kind) {
    let away = async |engine: &mut Engine| {
        engine.kill();
        tokio::time::sleep(AWAY).await;
        engine.restart();
    };
    let (row, sessions) = polled(kind, away).await;
    print(
        &format!("{kind:?} killed for {AWAY:?}, a session of another node"),
        std::slice::from_ref(&row),
    );
    assert!(
        is_whole(&row) && sessions == 1,
        "{row:?}, {sessions} sessions"
    );
}
