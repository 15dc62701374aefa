//! Nodes, a network that loses, repeats, reorders and cuts, clients that watch, and the five
//! guarantees checked after every step. A seed decides everything, so a failure can be repeated.
//!
//! `PRESENCE_SEEDS=10000` runs more of them, from `PRESENCE_FIRST` on.

mod world;

use self::world::{Broken, World};

const SEEDS: u64 = 500;

fn from_env(name: &str, otherwise: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn the_five_guarantees_hold_whatever_happens() {
    let first = from_env("PRESENCE_FIRST", 0);
    let seeds = from_env("PRESENCE_SEEDS", SEEDS);
    let mut seen = world::Seen::default();
    for seed in first..first + seeds {
        match World::run(seed, None) {
            Ok(run) => seen.add(&run),
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    // A run in which nothing happens proves nothing.
    if seeds >= SEEDS {
        seen.assert_all();
    }
}

/// Runs seeds until one fails, and returns how.
fn caught(broken: Broken) -> String {
    let errors = (0..100).filter_map(|seed| World::run(seed, Some(broken)).err());
    let mut errors = errors.map(|error| error.lines().next().unwrap_or_default().to_owned());
    let first = errors.next();
    first.unwrap_or_else(|| panic!("{broken:?} is not caught"))
}

#[test]
fn a_state_of_before_the_subscription_is_caught() {
    let error = caught(Broken::StaleState);
    assert!(error.starts_with("P1"), "{error}");
}

#[test]
fn a_gap_that_is_never_closed_is_caught() {
    let error = caught(Broken::NoPulls);
    assert!(error.starts_with("P2"), "{error}");
}

#[test]
fn the_presences_of_a_node_that_is_never_given_up_are_caught() {
    let error = caught(Broken::DeadBeats);
    assert!(error.starts_with("P3"), "{error}");
}

#[test]
fn a_change_by_another_than_the_owner_is_caught() {
    let error = caught(Broken::Forged);
    assert!(error.starts_with("P4"), "{error}");
}

#[test]
fn an_update_that_leaves_before_it_joins_is_caught() {
    let error = caught(Broken::UpdateLeaves);
    assert!(error.starts_with("P5"), "{error}");
}
