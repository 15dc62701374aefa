//! Who is in a topic, on all nodes.

#[cfg(test)]
mod client;
mod key;
mod meta;
mod view;
