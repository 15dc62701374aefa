//! How connections are accepted: what fails is said, counted and tried again.

use std::{any::Any, io, time::Duration};

use axum::serve::Listener;
use tokio::{net::TcpListener, time::sleep};

use super::telemetry;

/// How long to wait after a failure that is likely to come again, such as too many open files:
/// short, as whatever closes a file anywhere ends it.
const AGAIN: Duration = Duration::from_millis(50);

/// Accepts until that succeeds, for an [`axum::serve::Listener`] of your own.
///
/// A failure is counted as `channel_accept_errors_total`, and logged as an error, with one line
/// in ten seconds at most. It is tried again 20 times a second while the process, or the machine,
/// has no more open files; at once where a client was gone before it was accepted.
///
/// [`Endpoint::serve`](crate::Endpoint::serve) does so by itself for Tokio's listeners.
///
/// ```no_run
/// # async fn run(listener: tokio::net::TcpListener) {
/// let (stream, address) = channel_runtime::serve::accept(|| listener.accept()).await;
/// # }
/// ```
///
/// Cancel safe where `accept` is.
pub async fn accept<T, F>(mut accept: impl FnMut() -> F) -> T
where
    F: Future<Output = io::Result<T>>,
{
    loop {
        match accept().await {
            Ok(accepted) => {
                telemetry::accepted();
                return accepted;
            }
            Err(error) if is_of_a_client(&error) => telemetry::client_was_gone(&error),
            Err(error) => {
                telemetry::not_accepted(&error);
                sleep(AGAIN).await;
            }
        }
    }
}

fn is_of_a_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// The next connection of any listener; axum's own keep their failures to themselves.
pub(super) async fn next<L: Listener>(listener: &mut L) -> (L::Io, L::Addr)
where
    L::Addr: 'static,
{
    if let Some(tcp) = is::<_, TcpListener>(listener) {
        // Both are those of Tokio's listener, as the type is the same.
        if let Some(accepted) = same(accept(|| tcp.accept()).await) {
            return accepted;
        }
    }
    #[cfg(unix)]
    if let Some(unix) = is::<_, tokio::net::UnixListener>(listener)
        && let Some(accepted) = same(accept(|| unix.accept()).await)
    {
        return accepted;
    }
    listener.accept().await
}

fn is<T: Any, U: Any>(value: &T) -> Option<&U> {
    (value as &dyn Any).downcast_ref()
}

fn same<T: Any, U: Any>(value: T) -> Option<U> {
    let mut value = Some(value);
    (&mut value as &mut dyn Any)
        .downcast_mut::<Option<U>>()
        .and_then(Option::take)
}
