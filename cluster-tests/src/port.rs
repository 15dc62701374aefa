//! Ports that stay a test's own while nobody listens on them.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of the loopback, for as long as this lives.
///
/// It is bound and does not listen: nobody else is given it, who connects is refused, and the
/// server that it is meant for binds it all the same, since servers ask for `SO_REUSEADDR`. Without
/// it a port would be anybody's while its server is dead: another test's, or even that of a
/// connection which is looking for the server.
pub struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// A free one.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn hold() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Port {
            address: held.local_addr().unwrap(),
            _held: held,
        }
    }

    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }
}
