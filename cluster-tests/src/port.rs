//! Ports that stay a test's own while no server listens on them.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of the loopback, reserved as long as this lives.
///
/// It is bound and does not listen: no other process gets it, connections to it are refused, and
/// its own server can still bind it, since servers ask for `SO_REUSEADDR`. Otherwise another test
/// could take the port while its server is dead, or even a connection that looks for the server.
pub struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// Reserves a free port.
    ///
    /// # Panics
    ///
    /// Panics if no port is free.
    pub fn hold() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Port {
            address: held.local_addr().unwrap(),
            _held: held,
        }
    }

    /// Returns the address of its server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }
}
