use std::time::{Duration, Instant};

use channel_runtime::pubsub::ClusterOptions;
use cluster_tests::{
    client::Client,
    engine::{Engine, Kind},
    node::{BROKEN, Node, impatient},
    table::{is_whole, print, row},
};

use crate::publish;

/// Two nodes with a client each.
async fn two(engine: &Engine, options: fn(&str) -> ClusterOptions) -> [(Node, Client); 2] {
    let mut nodes = Vec::new();
    for name in ["a", "b"] {
        let node = Node::connect(&engine.url(), options(name)).await.unwrap();
        node.up().await;
        let client = Client::joined(node.address, &format!("client of {name}"), "room:1").await;
        nodes.push((node, client));
    }
    nodes.try_into().ok().unwrap()
}

/// Longer than [`BROKEN`].
fn pause() -> Duration {
    let seconds = std::env::var("CLUSTER_PAUSE").ok();
    Duration::from_secs(seconds.map_or(4, |seconds| seconds.parse().unwrap()))
}

pub(crate) async fn an_engine_is_killed_and_started_again(kind: Kind) {
    let mut engine = Engine::start(kind, "");
    let [(a, here), (b, there)] = two(&engine, impatient).await;
    let before = publish(&a.endpoint, 1..=100).await;
    assert!(before.is_empty(), "{before:?}");
    there.saw(100).await;

    engine.kill();
    a.down().await;
    b.down().await;
    // The nodes serve their own clients, and say that the others hear nothing.
    let meanwhile = publish(&a.endpoint, 101..=200).await;
    assert_eq!(meanwhile, (101..=200).collect());
    here.saw(200).await;
    // A join is answered all the same.
    let joined_meanwhile = Client::joined(b.address, "joined meanwhile", "room:1").await;

    engine.restart();
    a.up().await;
    b.up().await;
    let after = publish(&a.endpoint, 201..=300).await;
    assert!(after.is_empty(), "{after:?}");
    for client in [&here, &there, &joined_meanwhile] {
        client.saw(300).await;
    }
    let rows = [
        row(&here.name, 1..=300, &here.numbers()),
        row(&there.name, 1..=300, &there.numbers()),
        row(
            &joined_meanwhile.name,
            201..=300,
            &joined_meanwhile.numbers(),
        ),
    ];
    print(&format!("{kind:?} killed and started again"), &rows);
    assert!(is_whole(&rows[0]));
    assert_eq!(rows[1].lost, meanwhile, "what was an error, and no more");
    assert!(rows[1].duplicated == 0 && rows[1].ordered);
    assert!(is_whole(&rows[2]));
    let health = a.endpoint.health();
    assert_eq!((health.lost, health.published), (100, 200));
    assert!(health.disconnects >= 1);
}

pub(crate) async fn an_engine_is_paused_for_less_than_the_timeout(kind: Kind) {
    let engine = Engine::start(kind, "");
    let patient = |name: &str| ClusterOptions::new().node(name).timeout(pause() * 10);
    let [(a, here), (_b, there)] = two(&engine, patient).await;
    publish(&a.endpoint, 1..=100).await;
    there.saw(100).await;
    engine.pause();
    let publishing = publish(&a.endpoint, 101..=200);
    let going_on = async {
        // That nothing comes is what is waited for, so there is nothing else to wait for.
        tokio::time::sleep(pause()).await;
        // One or two may have passed while the signal was on its way.
        assert!(there.numbers().len() < 200);
        engine.resume();
    };
    let (failed, ()) = tokio::join!(publishing, going_on);
    assert!(failed.is_empty(), "{failed:?}");
    for client in [&here, &there] {
        client.saw(200).await;
    }
    let rows = [&here, &there].map(|client| row(&client.name, 1..=200, &client.numbers()));
    let title = format!("{kind:?} paused for {:?}, the timeout is longer", pause());
    print(&title, &rows);
    assert!(rows.iter().all(is_whole));
    assert_eq!(a.endpoint.health().disconnects, 0);
}

pub(crate) async fn an_engine_is_paused_for_longer_than_the_timeout(kind: Kind) {
    let engine = Engine::start(kind, "");
    let [(a, here), (b, there)] = two(&engine, impatient).await;
    publish(&a.endpoint, 1..=100).await;
    there.saw(100).await;
    engine.pause();
    let began = Instant::now();
    let failed = publish(&a.endpoint, 101..=200).await;
    // The first waits for the answer that does not come, the others are told at once.
    assert!(began.elapsed() < BROKEN * 20, "{:?}", began.elapsed());
    assert_eq!(failed, (101..=200).collect());
    here.saw(200).await;
    a.down().await;
    b.down().await;
    tokio::time::sleep(pause().saturating_sub(began.elapsed())).await;
    engine.resume();
    a.up().await;
    b.up().await;
    let after = publish(&a.endpoint, 201..=300).await;
    assert!(after.is_empty(), "{after:?}");
    for client in [&here, &there] {
        client.saw(300).await;
    }
    let rows = [&here, &there].map(|client| row(&client.name, 1..=300, &client.numbers()));
    let title = format!(
        "{kind:?} paused for {:?}, the timeout is {BROKEN:?}",
        pause()
    );
    print(&title, &rows);
    assert!(is_whole(&rows[0]));
    // The one that was on its way may have arrived though it was reported.
    assert!(rows[1].lost.is_subset(&failed));
    assert!(rows[1].lost.len() >= 99);
    assert!(rows[1].duplicated == 0 && rows[1].ordered);
}
