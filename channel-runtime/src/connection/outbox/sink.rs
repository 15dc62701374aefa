//! The sockets that outboxes write into.

use std::io::{self, IoSlice};

#[cfg(feature = "websocket")]
use tokio::net::tcp::OwnedWriteHalf;

/// The target of an outbox's writes, which never wait.
///
/// It lies in the outbox itself, so a delivery to a client that has been idle touches one piece of
/// cold memory less.
pub(crate) enum Sink {
    #[cfg(feature = "websocket")]
    Tcp(Half),
    #[cfg(test)]
    Test(std::sync::Arc<dyn TryWrite>),
}

/// The end that a test reads.
#[cfg(test)]
pub(crate) trait TryWrite: Send + Sync {
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

impl Sink {
    /// Writes as much as possible now.
    #[cfg_attr(not(feature = "websocket"), allow(unused_variables))]
    pub(super) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match *self {
            #[cfg(feature = "websocket")]
            Sink::Tcp(ref half) => half.try_write(slices),
            #[cfg(test)]
            Sink::Test(ref client) => client.try_write(slices),
        }
    }
}

/// A connection's write half. Dropping it does not shut the connection down: the connection's own
/// task closes the stream, which tells the peer the same.
#[cfg(feature = "websocket")]
pub(crate) struct Half(Option<OwnedWriteHalf>);

#[cfg(feature = "websocket")]
impl Half {
    pub(crate) fn new(half: OwnedWriteHalf) -> Self {
        Half(Some(half))
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(half) = &self.0 else {
            return Ok(0);
        };
        let [slice] = slices else {
            return half.try_write_vectored(slices);
        };
        // Bypasses the runtime, whose record of readiness is one more piece of cold memory.
        #[cfg(unix)]
        match rustix::net::send(half.as_ref(), slice, rustix::net::SendFlags::NOSIGNAL) {
            // Lets the runtime find out by itself, so that it reports when there is room again.
            Err(rustix::io::Errno::AGAIN) => {}
            sent => return Ok(sent?),
        }
        half.try_write(slice)
    }
}

#[cfg(feature = "websocket")]
impl Drop for Half {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            half.forget();
        }
    }
}
