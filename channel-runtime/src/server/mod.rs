//! How an endpoint is configured.

mod builder;
mod config;

pub use self::{builder::EndpointBuilder, config::EndpointConfig};
