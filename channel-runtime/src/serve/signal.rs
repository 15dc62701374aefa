//! How the process is asked to stop.

use std::io;

/// Ready at the first SIGTERM or ctrl-c from this call on, not only from the first poll on.
///
/// From then on these signals no longer end the process by themselves.
///
/// # Errors
///
/// The operating system's, where signals cannot be listened to.
///
/// # Panics
///
/// Outside of a Tokio runtime.
#[cfg(unix)]
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ready at the first ctrl-c, or when the console closes, from this call on.
///
/// # Errors
///
/// The operating system's, where these cannot be listened to.
///
/// # Panics
///
/// Outside of a Tokio runtime.
#[cfg(windows)]
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::windows::{ctrl_c, ctrl_close, ctrl_shutdown};

    let (mut interrupt, mut close, mut shutdown) = (ctrl_c()?, ctrl_close()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = close.recv() => {}
            _ = shutdown.recv() => {}
        }
    })
}

/// Never ready: there are no signals here.
///
/// # Errors
///
/// None.
#[cfg(not(any(unix, windows)))]
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(std::future::pending())
}
