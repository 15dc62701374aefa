//! The configuration of an endpoint.

mod builder;
mod config;

pub use self::{builder::EndpointBuilder, config::EndpointConfig};
