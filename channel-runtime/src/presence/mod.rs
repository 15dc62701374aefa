//! Tracks the presences of a topic on all nodes.

#[cfg(test)]
mod client;
mod key;
mod message;
mod meta;
mod node;
mod replica;
#[cfg(test)]
mod simulation;
mod view;
