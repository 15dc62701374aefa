//! Accepts connections: logs, counts and retries failures.

use std::{any::Any, io, time::Duration};

use axum::serve::Listener;
use tokio::{net::TcpListener, time::sleep};

use super::telemetry;

/// The pause after a failure that is likely to recur, such as too many open files. It is short,
/// because closing a file anywhere ends the failure.
const AGAIN: Duration = Duration::from_millis(50);

/// Accepts until that succeeds, for a custom [`axum::serve::Listener`].
///
/// A failure counts in `channel_accept_errors_total` and is logged as an error, at most once in ten
/// seconds. While the process or the machine is out of files, it is retried 20 times a second; if a
/// client left before it was accepted, at once.
///
/// [`Endpoint::serve`](crate::Endpoint::serve) does this for Tokio's listeners.
///
/// ```no_run
/// # async fn run(listener: tokio::net::TcpListener) {
/// let (stream, address) = channel_runtime::serve::accept(|| listener.accept()).await;
/// # }
/// ```
///
/// Cancel safe if `accept` is.
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

/// Accepts the next connection of any listener. Calls Tokio's listeners directly, because axum's
/// implementations hide their failures.
pub(super) async fn next<L: Listener>(listener: &mut L) -> (L::Io, L::Addr)
where
    L::Addr: 'static,
{
    if let Some(tcp) = is::<_, TcpListener>(listener) {
        // The types are equal: both are those of Tokio's listener.
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
