//! Replays what was recorded between clients and the original server, against the reference
//! room over real connections: every frame, in order.

mod client;
mod frame;
mod further;
mod json;
mod longpoll;
mod ours;
mod player;
mod recording;
mod script;
mod server;
mod startup;

use crate::{player::Failure, recording::Scenario, server::Server};

/// What the harness's own steps give: an error in words.
type Outcome<T> = Result<T, String>;

/// How many scenarios are recorded, and how many of them go our own way. A scenario that
/// vanishes, or is added, is to be noticed here.
const RECORDED: usize = 142;
const OURS: usize = 35;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recordings_are_replayed() -> Outcome<()> {
    let mut scenarios = recording::all()?;
    assert_eq!(scenarios.len(), RECORDED, "recorded scenarios");
    let ours = ours::apply(&mut scenarios)?;
    let replayed = scenarios.len();

    // What ends the server, and what takes real time, has a server of its own.
    let (mut plain, mut idle, mut last) = (vec![], vec![], vec![]);
    for scenario in scenarios {
        match scenario.group {
            "timeout" => idle.push(scenario),
            "shutdown" => last.push(scenario),
            _ => plain.push(scenario),
        }
    }
    let (plain, idle, last) = tokio::join!(one_by_one(plain), all_at_once(idle), to_the_end(last));
    let failures: Vec<Failure> = [plain?, idle?, last?].into_iter().flatten().collect();
    for failure in &failures {
        println!("{failure}");
    }

    println!("replayed {replayed} of {RECORDED} scenarios ({ours} as ours)");
    assert_eq!(failures.len(), 0, "scenarios went another way, see above");
    assert_eq!((ours, replayed), (OURS, RECORDED), "as ours, and replayed");
    Ok(())
}

/// One scenario after the other on one server: they share topics.
async fn one_by_one(scenarios: Vec<Scenario>) -> Outcome<Vec<Failure>> {
    let server = Server::start().await?;
    let mut failures = Vec::new();
    for scenario in &scenarios {
        failures.extend(player::play(scenario, &server).await.err());
    }
    Ok(failures)
}

/// Scenarios that only wait, on one server.
async fn all_at_once(scenarios: Vec<Scenario>) -> Outcome<Vec<Failure>> {
    let server = std::sync::Arc::new(Server::start().await?);
    let mut playing = tokio::task::JoinSet::new();
    for scenario in scenarios {
        let server = server.clone();
        playing.spawn(async move { player::play(&scenario, &server).await });
    }
    let played = playing.join_all().await;
    Ok(played.into_iter().filter_map(Result::err).collect())
}

/// Each scenario on a server that it ends; the server must end well.
async fn to_the_end(scenarios: Vec<Scenario>) -> Outcome<Vec<Failure>> {
    let mut failures = Vec::new();
    for scenario in &scenarios {
        let server = Server::start().await?;
        match player::play(scenario, &server).await {
            Ok(()) => {
                let exit = server.exit().await?;
                assert!(exit.success(), "the server ends with {exit}");
            }
            Err(failure) => failures.push(failure),
        }
    }
    Ok(failures)
}
