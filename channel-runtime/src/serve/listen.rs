//! Opens the listener of a server.

use std::{env, ffi::OsString, io, net::SocketAddr};

use thiserror::Error as ThisError;
use tokio::net::TcpListener;

/// The reason a server cannot listen.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum ListenError {
    /// The `PORT` variable is not a port number.
    #[error("PORT must be a number from 0 to 65535, not {0:?}")]
    Port(OsString),
    /// The address is in use, or is not this machine's.
    #[error("cannot listen on port {}; set PORT to another", .0.port())]
    Bind(SocketAddr, #[source] io::Error),
    /// The listener passed to the process cannot be used.
    #[cfg(feature = "listenfd")]
    #[error("the listener this process was started with cannot be used")]
    Inherited(#[source] io::Error),
}

/// Listens on an address whose port can be overridden by the `PORT` variable; `PORT=0` picks a free
/// one.
///
/// With the feature `listenfd`, a listening socket passed to the process (`LISTEN_FDS`, as set by
/// systemd, systemfd and `cargo xtask dev`) takes precedence over both, so that a newer build can
/// replace the program while the socket stays open.
///
/// ```no_run
/// # async fn run() -> Result<(), channel_runtime::serve::ListenError> {
/// let listener = channel_runtime::serve::listen(([127, 0, 0, 1], 4000)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A [`ListenError`] that says what to change.
pub async fn listen(address: impl Into<SocketAddr>) -> Result<TcpListener, ListenError> {
    #[cfg(feature = "listenfd")]
    if let Some(inherited) = inherited().map_err(ListenError::Inherited)? {
        return Ok(inherited);
    }
    let mut address = address.into();
    if let Some(port) = env::var_os("PORT") {
        address.set_port(number(port)?);
    }
    TcpListener::bind(address)
        .await
        .map_err(|error| ListenError::Bind(address, error))
}

fn number(port: OsString) -> Result<u16, ListenError> {
    let number = port.to_str().and_then(|port| port.parse().ok());
    number.ok_or(ListenError::Port(port))
}

#[cfg(feature = "listenfd")]
fn inherited() -> io::Result<Option<TcpListener>> {
    let Some(listener) = listenfd::ListenFd::from_env().take_tcp_listener(0)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number() {
        for (text, port) in [("0", 0), ("4000", 4000), ("65535", 65535)] {
            assert_eq!(number(text.into()).unwrap(), port);
        }
    }

    #[test]
    fn a_port_that_is_none_is_refused_in_words() {
        for text in ["", "http", "65536", "-1"] {
            let error = number(text.into()).unwrap_err().to_string();
            assert!(
                error.contains(&format!("{text:?}")) && error.contains("PORT"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(address).await.unwrap_err();
        let what = format!("cannot listen on port {};", address.port());
        assert!(error.to_string().starts_with(&what), "{error}");
    }
}
