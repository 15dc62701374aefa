//! Nodes, engines, clients and broken wires, for the tests of several nodes.

// A mistake here fails a test.
#![allow(clippy::unwrap_used)]

pub mod client;
pub mod engine;
pub mod namespace;
pub mod nginx;
pub mod node;
pub mod poller;
pub mod port;
pub mod proxy;
pub mod record;
pub mod room;
pub mod table;

use std::{future::Future, process::Child, time::Duration};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// The time that a test waits for an event that must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for an event that must come.
///
/// # Panics
///
/// Panics if it does not come.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Checks again and again until a condition holds; for states that send no event.
///
/// # Panics
///
/// Panics if it does not come to hold.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    within(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Sends a signal to a process that this test has started.
///
/// # Panics
///
/// Panics if it has ended.
pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Pauses a process, and waits until each of its threads has stopped: on a busy machine that takes
/// a while after the signal.
///
/// # Panics
///
/// Panics if it has ended.
pub(crate) fn pause(child: &Child) {
    signal(child, Signal::STOP);
    waitid(WaitId::Pid(Pid::from_child(child)), WaitIdOptions::STOPPED).unwrap();
}
