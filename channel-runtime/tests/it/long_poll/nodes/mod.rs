//! Sessions of one node, requested through another.

mod any_node;
mod lost;
mod metrics;
mod names;
mod refused;
mod sealed;

use axum::Router;
use serde_json::{Value, json};

use crate::support::{
    hub::Node,
    poll_client::{Answer, Client, reply},
};

/// A client that takes the token of every answer, like the official one, and whose requests go to
/// the given node.
pub(crate) struct Roamer(pub(crate) Client);

impl Roamer {
    pub(crate) async fn open(node: &Node) -> Self {
        Roamer(Client::open_at(node.app.clone(), "/socket", "vsn=2.0.0").await)
    }

    /// Opens a session on one node, and joins through another.
    pub(crate) async fn joined(home: &Node, away: &Node) -> Self {
        let mut client = Roamer::open(home).await;
        let join = json!(["1", "1", "room:1", "phx_join", {}]);
        assert_eq!(client.publish(away, &[join]).await, 200);
        let joined = reply("1", "room:1", "ok", json!({}));
        assert_eq!(client.messages(away).await, [joined]);
        client
    }

    /// Returns the same client, with its next request on this node.
    pub(crate) fn at(&self, app: &Router) -> Client {
        let app = app.clone();
        Client {
            app,
            ..self.0.clone()
        }
    }

    pub(crate) async fn poll(&mut self, node: &Node) -> Answer {
        let answer = self.at(&node.app).poll_by_header().await;
        if answer.json["token"].is_string() {
            self.0.token = answer.token().to_owned();
        }
        answer
    }

    /// Returns the messages of a poll, which must have some.
    pub(crate) async fn messages(&mut self, node: &Node) -> Vec<Value> {
        let answer = self.poll(node).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.messages()
    }

    pub(crate) async fn publish(&self, node: &Node, frames: &[Value]) -> u64 {
        self.at(&node.app).publish(frames).await
    }
}
