//! Connecting to a real server: origins, subprotocols, auth tokens, paths, limits, floods.

mod options;
mod refusals;
