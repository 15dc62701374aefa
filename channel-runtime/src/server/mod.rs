//! The server on top of an endpoint: how it is configured, and how it ends.

mod builder;
mod config;
mod drain;

pub use self::{builder::EndpointBuilder, config::EndpointConfig, drain::DrainOptions};
