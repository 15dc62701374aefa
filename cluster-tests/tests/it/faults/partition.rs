use cluster_tests::{
    client::Client,
    engine::{Engine, Kind},
    namespace::Namespace,
    node::NodeProcess,
    table::{is_whole, print, row},
    within,
};
use serde_json::json;

const NODE: &str = env!("CARGO_BIN_EXE_cluster-node");

/// Sends these numbers, and returns those that a client was told only its own node got.
async fn say(client: &Client, numbers: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    let mut refused = Vec::new();
    for n in numbers {
        let reply = client.ask("room:1", "all", json!({"n": n})).await;
        if reply["status"] != "ok" {
            refused.push(n);
        }
    }
    refused
}

/// Three nodes, each a process; one of them in a separate network, whose wire to the engine is
/// unplugged.
pub(crate) async fn a_node_is_partitioned(kind: Kind) {
    let Some(network) = Namespace::new() else {
        println!("no network namespaces here: the proxy that drops bytes has to do");
        return;
    };
    let engine = Engine::start_at(kind, network.engine(), "");
    let away = engine.url_of((network.engine(), engine.port()).into());
    let nodes = [
        NodeProcess::start(NODE, &engine.url(), "a"),
        NodeProcess::start(NODE, &engine.url(), "b"),
        NodeProcess::start_in(&network, NODE, &away, "cut"),
    ];
    let mut clients = Vec::new();
    for (node, name) in nodes.iter().zip(["a", "b", "cut"]) {
        clients.push(Client::joined(node.address, &format!("client of {name}"), "room:1").await);
    }
    let [a, b, cut] = &clients[..] else {
        unreachable!()
    };
    assert!(say(a, 1..=100).await.is_empty() && say(cut, 1001..=1100).await.is_empty());
    cut.saw(100).await;
    b.saw(1100).await;

    network.plug(false);
    let alone: Vec<u64> = (1101..=1200).collect();
    assert!(say(a, 101..=200).await.is_empty(), "the others go on");
    b.saw(200).await;
    assert_eq!(say(cut, 1101..=1200).await, alone, "its clients are told");

    network.plug(true);
    let mut probe = 5000;
    within("it is back", async {
        while !say(cut, probe..=probe).await.is_empty() {
            probe += 1;
        }
    })
    .await;
    assert!(say(a, 201..=300).await.is_empty() && say(cut, 1201..=1300).await.is_empty());
    let mut rows = Vec::new();
    for client in &clients {
        client.saw(300).await;
        client.saw(1300).await;
        let seen = client.numbers();
        rows.push(row(&format!("{} from a", client.name), 1..=300, &seen));
        rows.push(row(
            &format!("{} from cut", client.name),
            1001..=1300,
            &seen,
        ));
    }
    print(&format!("{kind:?}, one of three nodes unplugged"), &rows);
    for of_others in [0, 2] {
        assert!(is_whole(&rows[of_others]), "{rows:?}");
        // The message that was in flight may have arrived late although it was reported as lost.
        let lost = &rows[of_others + 1].lost;
        assert!(lost.iter().all(|n| alone.contains(n)), "{rows:?}");
        assert!(lost.len() >= alone.len() - 1, "{rows:?}");
    }
    assert_eq!(rows[4].lost, (101..=200).collect());
    assert!(is_whole(&rows[5]), "it has served its own");
    assert!(rows[4].ordered && rows.iter().all(|row| row.duplicated == 0));
}
