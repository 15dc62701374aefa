//! A separate network for one process, with two wires: one to the engine, one to the clients.

use std::{
    net::{Ipv4Addr, UdpSocket},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// A network namespace. It is removed on drop, once its processes have ended.
pub struct Namespace {
    name: String,
    /// The third number of its addresses.
    net: u8,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Namespace {
    /// Creates one. Returns `None` if that is not permitted, or there is no `ip`.
    pub fn new() -> Option<Self> {
        let number = std::process::id() * 8 + NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ct{number}");
        if !ip(&["netns", "add", &name]) {
            return None;
        }
        // Addresses that this machine does not have: those of a killed run may be left.
        let first = (number % 250) as u8;
        let mut nets = (first..250).chain(0..first);
        let is_free = |net: &u8| UdpSocket::bind((Wire::Engine.addresses(*net)[0], 0)).is_err();
        let net = nets.find(is_free).unwrap_or(first);
        // Dropping it deletes it, whatever fails below.
        let namespace = Namespace { name, net };
        let wires = [Wire::Engine, Wire::Clients];
        let made = wires.into_iter().all(|wire| namespace.lay(wire));
        made.then_some(namespace)
    }

    /// Lays a wire between this network and the namespace.
    fn lay(&self, wire: Wire) -> bool {
        let (outside, inside) = (self.end(wire, "o"), self.end(wire, "i"));
        let netns = &*self.name;
        let [here, there] = wire
            .addresses(self.net)
            .map(|address| format!("{address}/30"));
        ip(&[
            "link", "add", &outside, "type", "veth", "peer", "name", &inside,
        ]) && ip(&["link", "set", &inside, "netns", netns])
            && ip(&["addr", "add", &here, "dev", &outside])
            && ip(&["link", "set", &outside, "up"])
            && ip(&["-n", netns, "addr", "add", &there, "dev", &inside])
            && ip(&["-n", netns, "link", "set", &inside, "up"])
    }

    fn end(&self, wire: Wire, side: &str) -> String {
        let wire = match wire {
            Wire::Engine => "e",
            Wire::Clients => "c",
        };
        format!("{}{wire}{side}", self.name)
    }

    /// Returns the engine's address as seen from the namespace.
    pub fn engine(&self) -> Ipv4Addr {
        Wire::Engine.addresses(self.net)[0]
    }

    /// Returns the address at which clients reach a server in the namespace.
    pub fn inside(&self) -> Ipv4Addr {
        Wire::Clients.addresses(self.net)[1]
    }

    /// Returns a command that runs in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Unplugs the wire to the engine, or plugs it in, without a notice to either end.
    ///
    /// # Panics
    ///
    /// Panics if that is no longer permitted.
    pub fn plug(&self, is_in: bool) {
        let state = if is_in { "up" } else { "down" };
        assert!(ip(&["link", "set", &self.end(Wire::Engine, "o"), state]));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The wires are removed with it.
        ip(&["netns", "del", &self.name]);
    }
}

#[derive(Clone, Copy)]
enum Wire {
    Engine,
    Clients,
}

impl Wire {
    /// Returns the addresses of its ends: here, and in the namespace.
    fn addresses(self, net: u8) -> [Ipv4Addr; 2] {
        let first = match self {
            Wire::Engine => 1,
            Wire::Clients => 5,
        };
        [first, first + 1].map(|last| Ipv4Addr::new(10, 231, net, last))
    }
}

fn ip(arguments: &[&str]) -> bool {
    let output = Command::new("ip").args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}
