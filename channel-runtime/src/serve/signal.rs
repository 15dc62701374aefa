//! The signals that ask the process to stop.

use std::io;

/// The signals that ask the process to stop, from `listen` on.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one; returns the exit status of a process that it kills.
    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => 128 + 15,
            _ = self.interrupt.recv() => 128 + 2,
        }
    }
}

#[cfg(windows)]
pub(super) struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    close: tokio::signal::windows::CtrlClose,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_close, ctrl_shutdown};

        Ok(Signals {
            interrupt: ctrl_c()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.close.recv() => 143,
            _ = self.shutdown.recv() => 143,
        }
    }
}

#[cfg(not(any(unix, windows)))]
pub(super) struct Signals;

#[cfg(not(any(unix, windows)))]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Signals)
    }

    pub(super) async fn next(&mut self) -> i32 {
        std::future::pending().await
    }
}

/// Completes at the first SIGTERM or ctrl-c from this call on, not only from the first poll on; on
/// Windows at the first ctrl-c, or when the console closes; elsewhere never.
///
/// From then on these signals no longer end the process on their own.
///
/// # Errors
///
/// The operating system's error, if the signals cannot be handled.
///
/// # Panics
///
/// Outside of a Tokio runtime.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        signals.next().await;
    })
}
