use std::{cell::Cell, time::Duration};

use channel_runtime::pubsub::ClusterOptions;
use cluster_tests::{
    client::Client,
    engine::{Engine, Kind},
    eventually,
    node::{Node, NodeProcess, impatient},
    proxy::Proxy,
    room::Said,
    table::{is_whole, print, row},
};
use serde_json::json;

use super::publish;

const NODE: &str = env!("CARGO_BIN_EXE_cluster-node");

/// Three nodes, each a process, with a client each; one of them ends in the middle of the load.
pub(crate) async fn a_node_is_killed_under_load(kind: Kind) {
    const EACH: u64 = 250;
    // The first numbers of each node.
    const A: u64 = 1_000_000;
    const B: u64 = 2_000_000;
    const C: u64 = 3_000_000;
    const LAST: u64 = 4_000_000;
    let engine = Engine::start(kind, "");
    let mut nodes = ["a", "b", "c"].map(|name| NodeProcess::start(NODE, &engine.url(), name));
    let mut clients = Vec::new();
    for (node, name) in nodes.iter().zip(["a", "b", "c"]) {
        clients.push(Client::joined(node.address, &format!("client of {name}"), "room:1").await);
    }
    let [a, b, c] = &clients[..] else {
        unreachable!()
    };
    let is_dead = Cell::new(false);
    // The load: each client sends numbers of its own, and waits for each answer, until C is dead
    // and a while after that. Returns the number after the last.
    let talk = async |client: &Client, from: u64| {
        let (mut n, mut after) = (from, 0);
        while after < EACH {
            let reply = client.ask("room:1", "all", json!({"n": n})).await;
            assert_eq!(reply["status"], "ok", "{}: {reply}", client.name);
            n += 1;
            after += u64::from(is_dead.get());
        }
        n
    };
    let kill = async {
        c.saw(A + EACH).await;
        c.saw(B + EACH).await;
        nodes[2].kill();
        c.closed().await;
        is_dead.set(true);
    };
    // C sends until it dies, and waits for one answer in fifty.
    let mumble = async {
        for n in C.. {
            let said = json!({"n": n});
            if n % 50 > 0 {
                c.push("room:1", "all", said).await;
                continue;
            }
            tokio::select! {
                _ = c.ask("room:1", "all", said) => {}
                _ = c.closed() => return,
            }
        }
    };
    let (end_of_a, end_of_b, (), ()) = tokio::join!(talk(a, A), talk(b, B), kill, mumble);
    let said = [("a", A..end_of_a), ("b", B..end_of_b)];
    for client in [a, b] {
        client.saw(end_of_a - 1).await;
        client.saw(end_of_b - 1).await;
    }
    // The client of the dead node comes back to another one.
    let again = Client::joined(nodes[0].address, "client of c", "room:1").await;
    b.ask("room:1", "all", json!({"n": LAST})).await;
    again.saw(LAST).await;
    let mut rows = Vec::new();
    for client in [a, b] {
        for (who, numbers) in &said {
            let name = format!("{} from {who}", client.name);
            rows.push(row(&name, numbers.clone(), &client.numbers()));
        }
    }
    let whole = rows.len();
    let until_death = c.numbers();
    for (who, numbers) in &said {
        let heard = until_death.iter().filter(|n| numbers.contains(n));
        // It gets all messages up to its end, so those up to the last one count.
        let until = heard.max().map_or(numbers.start, |last| last + 1);
        let name = format!("c, till killed, from {who}");
        rows.push(row(&name, numbers.start..until, &until_death));
    }
    print(
        &format!("{kind:?}, one of three nodes killed under load"),
        &rows,
    );
    assert!(rows[..whole].iter().all(is_whole), "{rows:?}");
    assert!(
        rows[whole..].iter().all(is_whole),
        "no gap until the end: {rows:?}"
    );
    // A and B get the same messages of C: the last of them whenever it arrives, and in order.
    let of_c = |client: &Client| -> Vec<u64> {
        let numbers = client.numbers().into_iter();
        numbers.filter(|n| (C..LAST).contains(n)).collect()
    };
    eventually("A and B have heard the same of C", || of_c(a) == of_c(b)).await;
    for client in [a, b] {
        let heard = of_c(client);
        assert!(is_whole(&row("of c", C..C + heard.len() as u64, &heard)));
    }
}

/// One of three nodes reaches the engine by a wire that breaks.
pub(crate) async fn a_node_is_cut_off(kind: Kind) {
    let engine = Engine::start(kind, "");
    let wire = Proxy::to(engine.port()).await;
    let urls = [engine.url(), engine.url(), engine.url_at(wire.port)];
    let (mut nodes, mut clients) = (Vec::new(), Vec::new());
    for (url, name) in urls.iter().zip(["a", "b", "cut"]) {
        let options = match name {
            "cut" => impatient().node(name),
            _ => ClusterOptions::new().node(name),
        };
        let node = Node::connect(url, options).await.unwrap();
        node.up().await;
        clients.push(Client::joined(node.address, &format!("client of {name}"), "room:1").await);
        nodes.push(node);
    }
    let [a, b, cut] = &nodes[..] else {
        unreachable!()
    };
    publish(&a.endpoint, 1..=100).await;
    clients[2].saw(100).await;

    wire.swallow();
    let meanwhile = publish(&a.endpoint, 101..=200).await;
    assert!(meanwhile.is_empty(), "the others go on: {meanwhile:?}");
    clients[1].saw(200).await;
    cut.down().await;
    // The node that is cut off serves its own clients.
    let alone = publish(&cut.endpoint, 1001..=1100).await;
    assert_eq!(alone, (1001..=1100).collect());
    clients[2].saw(1100).await;

    wire.heal();
    cut.up().await;
    let after = publish(&a.endpoint, 201..=300).await;
    let back = publish(&cut.endpoint, 1101..=1200).await;
    assert!(after.is_empty() && back.is_empty());
    for client in &clients {
        client.saw(300).await;
        client.saw(1200).await;
    }
    let mut rows = Vec::new();
    for client in &clients {
        let seen = client.numbers();
        rows.push(row(&format!("{} from a", client.name), 1..=300, &seen));
        rows.push(row(
            &format!("{} from cut", client.name),
            1001..=1200,
            &seen,
        ));
    }
    print(&format!("{kind:?}, one of three nodes cut off"), &rows);
    for of_others in [0, 2] {
        assert!(is_whole(&rows[of_others]), "{rows:?}");
        assert_eq!(rows[of_others + 1].lost, alone);
    }
    assert_eq!(rows[4].lost, (101..=200).collect());
    assert!(is_whole(&rows[5]));
    assert!(rows.iter().all(|row| row.duplicated == 0 && row.ordered));
    assert_eq!(b.endpoint.health().disconnects, 0);
    assert_eq!(a.endpoint.health().lost, 0);
}

/// A node that does not read: the engine's buffer for it overflows, and it is cut off.
pub(crate) async fn a_node_is_too_slow(kind: Kind) {
    const MESSAGES: u64 = 400;
    let limit = match kind {
        Kind::Redis => "client-output-buffer-limit pubsub 1mb 0 0",
        Kind::Nats => "max_pending: 1048576\nwrite_deadline: \"500ms\"",
    };
    let engine = Engine::start(kind, limit);
    let options = |name: &str| ClusterOptions::new().node(name);
    let a = Node::connect(&engine.url(), options("a")).await.unwrap();
    let b = Node::connect(&engine.url(), options("b")).await.unwrap();
    let slow = NodeProcess::start(NODE, &engine.url(), "slow");
    let fast = Client::joined(b.address, "client of b", "room:1").await;
    let slower = Client::joined(slow.address, "client of slow", "room:1").await;
    publish(&a.endpoint, 1..=10).await;
    slower.saw(10).await;

    slow.pause();
    let body = "x".repeat(64 << 10);
    for n in 11..=MESSAGES {
        let said = Said {
            n,
            body: body.clone(),
        };
        a.endpoint.broadcast("room:1", &said).await.unwrap();
        // Its node never falls behind, however busy the machine is.
        fast.saw(n).await;
    }
    slow.resume();
    // It finds its connection closed, and reconnects: a message arrives again.
    let mut next = MESSAGES;
    cluster_tests::within("the slow node is back", async {
        while slower.numbers().last().is_none_or(|last| *last <= MESSAGES) {
            next += 1;
            assert!(publish(&a.endpoint, [next]).await.is_empty());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    fast.saw(next).await;
    let rows = [
        row(&fast.name, 1..=next, &fast.numbers()),
        row(&slower.name, 1..=MESSAGES, &slower.numbers()),
    ];
    print(
        &format!("{kind:?}, a node that does not read for a while"),
        &rows,
    );
    assert!(is_whole(&rows[0]), "the others notice nothing");
    assert!(!rows[1].lost.is_empty(), "pub/sub is at most once");
    assert!(rows[1].duplicated == 0 && rows[1].ordered, "{rows:?}");
    assert_eq!(a.endpoint.health().lost, 0);
    assert_eq!(b.endpoint.health().disconnects, 0);
}
