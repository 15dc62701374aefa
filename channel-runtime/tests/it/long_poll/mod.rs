//! The long-poll transport: in memory, where time can be stopped, and over real connections.

mod admission;
mod bodies;
mod bursts;
mod ends;
mod network;
mod nodes;
mod nonsense;
mod raw;
mod sessions;
mod times;
mod tokens;
