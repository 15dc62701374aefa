//! The library of the load generator and the floor.

pub mod cases;
pub mod client;
pub mod figures;
pub mod process;
pub mod protocol;
pub mod server;
pub mod ws;
