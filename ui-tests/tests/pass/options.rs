//! Every option, in every way it can be written.

use std::time::Duration;

use channel_runtime::{ LogLevel, prelude::*, handler::Channel};

pub struct Loud;

#[channel(
    "loud:*",
    log_join = "warn",
    log_handle_in = trace,
    hibernate_after = 30s,
    shutdown = 1s,
)]
impl Loud {
    #[join]
    fn join() -> Self {
        Loud
    }
}

pub struct Quiet;

#[channel(log_join = off, log_handle_in = "off", hibernate_after = off, "quiet:*", pushes = [])]
impl Quiet {
    #[join]
    fn join() -> Self {
        Quiet
    }
}

fn main() {
    assert!(matches!(Loud::OPTIONS.log_join, LogLevel::At(level) if level.as_str() == "WARN"));
    assert_eq!(Loud::OPTIONS.hibernate_after, Some(Duration::from_secs(30)));
    assert_eq!(Loud::OPTIONS.shutdown, Duration::from_secs(1));
    assert_eq!(Quiet::OPTIONS.log_join, LogLevel::Off);
    assert_eq!(Quiet::OPTIONS.hibernate_after, None);
    assert_eq!(Quiet::OPTIONS.shutdown, Duration::from_secs(5));
}
