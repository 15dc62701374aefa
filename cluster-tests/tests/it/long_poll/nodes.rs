use cluster_tests::{
    client::Client,
    engine::{Engine, Kind},
    eventually,
    nginx::Nginx,
    node::{Node, NodeProcess, impatient},
    poller::Poller,
    table::{is_whole, print, row},
};
use serde_json::json;

const NODE: &str = env!("CARGO_BIN_EXE_cluster-node");

fn start<const N: usize>(engine: &Engine, names: [&str; N]) -> [NodeProcess; N] {
    names.map(|name| NodeProcess::start(NODE, &engine.url(), name))
}

pub(crate) async fn a_session_is_reached_through_any_of_three_nodes(kind: Kind) {
    const EACH: u64 = 200;
    let engine = Engine::start(kind, "");
    let nodes = start(&engine, ["a", "b", "c"]);
    let addresses = [&nodes[0], &nodes[1], &nodes[2]].map(|node| node.address);
    let poller = Poller::joined(&addresses, "poller", "room:1").await;
    let client = Client::joined(addresses[2], "client of c", "room:1").await;
    let talk = async {
        for n in 1..=EACH {
            let reply = poller.ask("room:1", "all", json!({"n": n})).await;
            assert_eq!(reply["status"], "ok");
        }
    };
    let talk_too = async {
        for n in 1001..=1000 + EACH {
            client.ask("room:1", "all", json!({"n": n})).await;
        }
    };
    tokio::join!(talk, talk_too);
    let mut rows = Vec::new();
    for (name, record) in [("poller", &*poller), ("client of c", &*client)] {
        record.saw(EACH).await;
        record.saw(1000 + EACH).await;
        let seen = record.numbers();
        rows.push(row(&format!("{name} from poller"), 1..=EACH, &seen));
        rows.push(row(
            &format!("{name} from client"),
            1001..=1000 + EACH,
            &seen,
        ));
    }
    print(
        &format!("{kind:?}, every request to the next of three nodes"),
        &rows,
    );
    assert!(rows.iter().all(is_whole), "{rows:?}");
    assert_eq!(poller.sessions(), 1);
}

pub(crate) async fn a_body_larger_than_the_engine_takes_passes_in_pieces(kind: Kind) {
    let engine = Engine::start(kind, "");
    let [a, b] = start(&engine, ["a", "b"]);
    let poller = Poller::joined(&[a.address, b.address], "poller", "room:1").await;
    // NATS takes 1 MiB per message by default.
    for megabytes in [0, 1, 5, 9] {
        let text = "é".repeat(megabytes * 500_000);
        // Twice, so that each node has its turn.
        for _ in 0..2 {
            let reply = poller.ask("room:1", "echo", json!(text)).await;
            assert_eq!(reply["status"], "ok");
            assert!(reply["response"] == *text, "{megabytes} MB");
        }
    }
    assert_eq!(poller.sessions(), 1);
}

pub(crate) async fn the_node_of_a_session_is_killed(kind: Kind) {
    let engine = Engine::start(kind, "");
    let [mut a, b, c] = start(&engine, ["a", "b", "c"]);
    let addresses = [&a, &b, &c].map(|node| node.address);
    let poller = Poller::joined(&addresses, "poller", "room:1").await;
    let client = Client::joined(c.address, "client of c", "room:1").await;
    let say = async |n: u64| client.ask("room:1", "all", json!({"n": n})).await;
    for n in 1..=50 {
        say(n).await;
    }
    poller.saw(50).await;
    a.kill();
    eventually("a new session", || poller.sessions() == 2).await;
    // It has joined once it gets something; earlier messages are lost to it, as to any client that
    // connects again.
    let mut n = 50;
    cluster_tests::within("it hears", async {
        while poller.numbers().last().is_none_or(|last| *last <= 50) {
            n += 1;
            say(n).await;
        }
    })
    .await;
    let first = *poller.numbers().iter().find(|n| **n > 50).unwrap();
    for _ in 0..50 {
        n += 1;
        say(n).await;
    }
    poller.saw(n).await;
    let rows = [
        row("poller, till killed", 1..=50, &poller.numbers()),
        row("poller, since it is back", first..=n, &poller.numbers()),
        row("client of c", 1..=n, &client.numbers()),
    ];
    print(
        &format!("{kind:?}, the node of a polled session killed"),
        &rows,
    );
    assert!(rows.iter().all(is_whole), "{rows:?}");
    assert_eq!(poller.sessions(), 2);
}

pub(crate) async fn a_node_between_is_killed_and_nothing_is_lost(kind: Kind) {
    const MESSAGES: u64 = 1500;
    let engine = Engine::start(kind, "");
    let [a, mut b, c] = start(&engine, ["a", "b", "c"]);
    let addresses = [&a, &b, &c].map(|node| node.address);
    let poller = Poller::joined(&addresses, "poller", "room:1").await;
    let client = Client::joined(a.address, "client of a", "room:1").await;
    let talk = async {
        for n in 1..=MESSAGES {
            client.ask("room:1", "all", json!({"n": n})).await;
        }
    };
    let kill = async {
        poller.saw(MESSAGES / 3).await;
        b.kill();
    };
    tokio::join!(talk, kill);
    poller.saw(MESSAGES).await;
    let rows = [row("poller", 1..=MESSAGES, &poller.numbers())];
    print(
        &format!("{kind:?}, a node killed that polls pass through"),
        &rows,
    );
    assert!(is_whole(&rows[0]), "{rows:?}");
    assert_eq!(poller.sessions(), 1);
}

pub(crate) async fn a_balancer_needs_not_be_sticky(kind: Kind) {
    let engine = Engine::start(kind, "");
    let [a, mut b] = start(&engine, ["a", "b"]);
    let nginx = Nginx::start([a.address, b.address]).await;
    let poller = Poller::joined(&[nginx.address], "poller", "room:1").await;
    let client = Client::joined(nginx.address, "client", "room:1").await;
    for n in 1..=100 {
        let reply = poller.ask("room:1", "all", json!({"n": n})).await;
        assert_eq!(reply["status"], "ok");
    }
    client.saw(100).await;
    poller.saw(100).await;
    let rows = [
        row("poller", 1..=100, &poller.numbers()),
        row("client", 1..=100, &client.numbers()),
    ];
    print(&format!("{kind:?}, through nginx"), &rows);
    assert!(rows.iter().all(is_whole), "{rows:?}");
    assert_eq!(poller.sessions(), 1);
    let passed = [&a, &b].map(|node| nginx.passed_to(node.address));
    assert!(passed.iter().all(|requests| *requests > 10), "{passed:?}");
    // Whichever node had the session: after one is dead, there is one on the other.
    b.kill();
    let mut n = 100;
    let again = Client::joined(nginx.address, "again", "room:1").await;
    cluster_tests::within("it hears", async {
        while poller.numbers().last().is_none_or(|last| *last <= 100) {
            n += 1;
            again.ask("room:1", "all", json!({"n": n})).await;
        }
    })
    .await;
    assert!(poller.sessions() <= 2);
}

pub(crate) async fn two_nodes_of_one_name_serve_each_others_sessions_and_say_so(kind: Kind) {
    const EACH: u64 = 50;
    let engine = Engine::start(kind, "");
    let url = engine.url();
    let node = async |name: &str| Node::connect(&url, impatient().node(name)).await.unwrap();
    let (a, b, other) = (node("twin").await, node("twin").await, node("other").await);
    let addresses = [a.address, b.address, other.address];
    let poller = Poller::joined(&addresses, "poller", "room:1").await;
    for n in 1..=EACH {
        let reply = poller.ask("room:1", "all", json!({"n": n})).await;
        assert_eq!(reply["status"], "ok");
    }
    poller.saw(EACH).await;
    assert!(is_whole(&row("poller", 1..=EACH, &poller.numbers())));
    assert_eq!(poller.sessions(), 1);
    for twin in [&a, &b] {
        let knows = || twin.endpoint.health().namesake.is_some();
        eventually("it knows of the other", knows).await;
        assert!(twin.endpoint.health().is_up());
    }
    other.up().await;
    assert_eq!(other.endpoint.health().namesake, None);
}
