//! Replays the recordings of clients that poll.

mod ours;
mod player;
mod recording;

use crate::{Outcome, server::Server};

/// The number of recorded scenarios, and of those with answers of our own.
const RECORDED: usize = 21;
const OURS: usize = 6;

#[tokio::test]
async fn the_recordings_of_long_poll_are_replayed() -> Outcome<()> {
    let mut scenarios = recording::all()?;
    assert_eq!(scenarios.len(), RECORDED, "recorded scenarios");
    let ours = ours::apply(&mut scenarios)?;
    assert_eq!(ours, OURS, "as ours");

    let server = Server::start().await?;
    let mut failures = Vec::new();
    for scenario in &scenarios {
        failures.extend(player::play(scenario, &server).await.err());
    }
    failures.iter().for_each(|failure| println!("{failure}"));
    println!(
        "replayed {} of {RECORDED} scenarios ({ours} as ours)",
        scenarios.len()
    );
    assert_eq!(failures.len(), 0, "scenarios went another way, see above");
    Ok(())
}
