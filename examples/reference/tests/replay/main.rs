//! Replays the recordings of clients and the original server against the reference room over real
//! connections: every frame, in order.

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

/// The result of a step of the harness: an error in words.
type Outcome<T> = Result<T, String>;

/// The number of recorded scenarios, and of those with answers of our own, so that a scenario that
/// vanishes or is added gets noticed.
const RECORDED: usize = 142;
const OURS: usize = 35;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recordings_are_replayed() -> Outcome<()> {
    let mut scenarios = recording::all()?;
    assert_eq!(scenarios.len(), RECORDED, "recorded scenarios");
    let ours = ours::apply(&mut scenarios)?;
    let replayed = scenarios.len();

    // Scenarios that end the server, or take real time, have a server of their own.
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

/// Plays one scenario after the other on one server: they share topics.
async fn one_by_one(scenarios: Vec<Scenario>) -> Outcome<Vec<Failure>> {
    let server = Server::start().await?;
    let mut failures = Vec::new();
    for scenario in &scenarios {
        failures.extend(player::play(scenario, &server).await.err());
    }
    Ok(failures)
}

/// Plays scenarios that only wait, on one server.
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

/// Plays each scenario on a server that it ends; the server must end without an error.
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
