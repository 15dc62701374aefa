use std::time::Duration;

use channel_runtime::{
    Error,
    pubsub::{ClusterOptions, PublishError},
};
use cluster_tests::{
    client::Client,
    engine::{Engine, Kind},
    eventually,
    node::{Node, impatient},
    room::Said,
    table::{is_whole, print, row},
};

use super::publish;

/// Starts two nodes with a client each.
async fn two(engine: &Engine, options: ClusterOptions) -> [(Node, Client); 2] {
    let mut nodes = Vec::new();
    for name in ["a", "b"] {
        let options = options.clone().node(name);
        let node = Node::connect(&engine.url(), options).await.unwrap();
        node.up().await;
        let client = Client::joined(node.address, &format!("client of {name}"), "room:1").await;
        nodes.push((node, client));
    }
    nodes.try_into().ok().unwrap()
}

/// The time that an engine is paused: longer than an impatient node waits for it.
const PAUSE: Duration = Duration::from_secs(10);

pub(crate) async fn an_engine_is_killed_and_started_again(kind: Kind) {
    let mut engine = Engine::start(kind, "");
    let [(a, here), (b, there)] = two(&engine, impatient()).await;
    let before = publish(&a.endpoint, 1..=100).await;
    assert!(before.is_empty(), "{before:?}");
    there.saw(100).await;

    engine.kill();
    a.down().await;
    b.down().await;
    // The nodes serve their own clients, and report that the others get nothing.
    let meanwhile = publish(&a.endpoint, 101..=200).await;
    assert_eq!(meanwhile, (101..=200).collect());
    here.saw(200).await;
    // A join is still answered.
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
    let patient = ClusterOptions::new().timeout(PAUSE * 10);
    let [(a, here), (_b, there)] = two(&engine, patient).await;
    publish(&a.endpoint, 1..=100).await;
    there.saw(100).await;
    eventually("the lag is known", || a.endpoint.health().lag.is_some()).await;
    engine.pause();
    let publishing = publish(&a.endpoint, 101..=200);
    let going_on = async {
        // The test waits for nothing to come, so there is no event to await.
        tokio::time::sleep(PAUSE).await;
        assert_eq!(there.numbers().len(), 100);
        // The next message to oneself is on its way, and the longer it takes, the more it shows.
        let lag = || a.endpoint.health().lag.unwrap_or_default();
        eventually("the lag shows it", || lag() > PAUSE / 10).await;
        engine.resume();
    };
    let (failed, ()) = tokio::join!(publishing, going_on);
    assert!(failed.is_empty(), "{failed:?}");
    for client in [&here, &there] {
        client.saw(200).await;
    }
    let rows = [&here, &there].map(|client| row(&client.name, 1..=200, &client.numbers()));
    let title = format!("{kind:?} paused for {PAUSE:?}, the timeout is longer");
    print(&title, &rows);
    assert!(rows.iter().all(is_whole));
    assert_eq!(a.endpoint.health().disconnects, 0);
}

pub(crate) async fn an_engine_is_paused_for_longer_than_the_timeout(kind: Kind) {
    let engine = Engine::start(kind, "");
    let [(a, here), (b, there)] = two(&engine, impatient()).await;
    publish(&a.endpoint, 1..=100).await;
    there.saw(100).await;
    engine.pause();
    let meanwhile = async {
        let mut waited = 0;
        for n in 101..=200 {
            match a.endpoint.broadcast("room:1", &Said::new(n)).await {
                Err(Error::Publish(PublishError::Unconfirmed)) => waited += 1,
                Err(Error::Publish(PublishError::Unreachable)) => {}
                outcome => panic!("{n}: {outcome:?}"),
            }
        }
        assert!(
            waited <= 1,
            "one waits in vain, the others are told at once"
        );
        here.saw(200).await;
        a.down().await;
        b.down().await;
    };
    tokio::join!(meanwhile, tokio::time::sleep(PAUSE));
    engine.resume();
    a.up().await;
    b.up().await;
    let after = publish(&a.endpoint, 201..=300).await;
    assert!(after.is_empty(), "{after:?}");
    for client in [&here, &there] {
        client.saw(300).await;
    }
    let around = (1..=100).chain(201..=300);
    let rows = [
        row(&here.name, 1..=300, &here.numbers()),
        row(&there.name, around, &there.numbers()),
        row("what was an error, there", 101..=200, &there.numbers()),
    ];
    let title = format!("{kind:?} paused for {PAUSE:?}, the timeout is shorter");
    print(&title, &rows);
    assert!(rows[..2].iter().all(is_whole), "{rows:?}");
    // The message that was in flight may have arrived late although it was reported as lost.
    assert!(rows[2].delivered <= 1 && rows[2].duplicated == 0);
}
