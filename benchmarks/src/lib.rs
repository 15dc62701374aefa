//! What the load generator, the floor and the report share.

pub mod client;
pub mod process;
pub mod ws;
