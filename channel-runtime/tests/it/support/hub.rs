//! Nodes of one process, over a hub that can lose the messages between them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::Router;
use channel_runtime::{
    Bytes, Endpoint, LongPollOptions, SocketOptions, Topic,
    pubsub::{Adapter, BoxFuture, Health, LocalDelivery, PublishError, StartError},
};

use crate::support::polled_room::User;

/// The secret that all nodes share.
const SECRET: [u8; 32] = [5; 32];

/// The hub between the nodes. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Several if nodes share a name.
    inlets: HashMap<String, Vec<LocalDelivery>>,
    /// All messages to single nodes, each with its node.
    read: Vec<(String, Bytes)>,
    is_down: bool,
    /// The number of the next messages to each node that get lost.
    losses: HashMap<String, usize>,
    /// The largest message, if there is a limit.
    limit: Option<usize>,
    /// The number of messages to each node.
    direct: HashMap<String, usize>,
    /// The waiting messages of each node that is stopped.
    held: HashMap<String, VecDeque<Bytes>>,
}

impl Hub {
    /// Adds a node with these options for clients that poll.
    pub(crate) fn node_with(&self, name: &str, options: LongPollOptions) -> Node {
        self.node_of(name, SocketOptions::default().long_poll(options))
    }

    /// Adds a node with secrets of its own, the newest first.
    pub(crate) fn node_with_secrets(&self, name: &str, secrets: &[[u8; 32]]) -> Node {
        let options = SocketOptions::default().long_poll(LongPollOptions::default());
        self.open(name, secrets, options)
    }

    pub(crate) fn node_of(&self, name: &str, options: SocketOptions) -> Node {
        self.open(name, &[SECRET], options)
    }

    fn open(&self, name: &str, secrets: &[[u8; 32]], options: SocketOptions) -> Node {
        let builder = secrets.iter().fold(Endpoint::builder(), |builder, secret| {
            builder.secret_key(secret)
        });
        let endpoint = builder
            .socket::<User>(options.path("/socket"))
            .pubsub(self.spoke(name))
            .build()
            .unwrap();
        let app = endpoint.router();
        Node { endpoint, app }
    }

    /// Returns the adapter of a node.
    pub(crate) fn spoke(&self, name: &str) -> Spoke {
        Spoke {
            hub: self.clone(),
            node: name.to_owned(),
        }
    }

    pub(crate) fn node(&self, name: &str) -> Node {
        self.node_with(name, LongPollOptions::default())
    }

    pub(crate) fn nodes<const N: usize>(&self, names: [&str; N]) -> [Node; N] {
        names.map(|name| self.node(name))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Refuses every message from now on, or none.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// Loses the next messages to a node without an error.
    pub(crate) fn lose_next(&self, node: &str, messages: usize) {
        self.state().losses.insert(node.to_owned(), messages);
    }

    /// Refuses messages larger than this.
    pub(crate) fn limit(&self, bytes: usize) {
        self.state().limit = Some(bytes);
    }

    /// Kills a node: messages to it vanish from now on.
    pub(crate) fn kill(&self, node: &str) {
        self.state().inlets.remove(node);
    }

    /// Stops a node: messages to it alone wait from now on.
    pub(crate) fn stop(&self, node: &str) {
        self.state()
            .held
            .insert(node.to_owned(), VecDeque::default());
    }

    /// Lets a stopped node take one message.
    pub(crate) fn step(&self, node: &str) {
        let message = self.state().held.get_mut(node).unwrap().pop_front();
        self.inject(node, message.unwrap());
    }

    /// Lets a stopped node go on.
    pub(crate) fn go_on(&self, node: &str) {
        let held = self.state().held.remove(node).unwrap();
        held.into_iter()
            .for_each(|message| self.inject(node, message));
    }

    /// Returns the number of messages sent to a node alone.
    pub(crate) fn sent_to(&self, node: &str) -> usize {
        self.state().direct.get(node).copied().unwrap_or_default()
    }

    /// Passes a message to a node, as anyone with access to the engine could.
    pub(crate) fn inject(&self, node: &str, message: Bytes) {
        let inlets = self.state().inlets.get(node).cloned();
        for local in inlets.unwrap() {
            let _garbage = local.deliver(message.clone());
        }
    }

    /// Returns all messages to single nodes, each with its node.
    pub(crate) fn read(&self) -> Vec<(String, Bytes)> {
        self.state().read.clone()
    }
}

/// One node.
pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    pub(crate) app: Router,
}

pub(crate) struct Spoke {
    hub: Hub,
    node: String,
}

type Sent = BoxFuture<'static, Result<(), PublishError>>;

impl Spoke {
    fn refused(&self, message: &Bytes) -> Option<Sent> {
        let state = self.hub.state();
        let (len, limit) = (message.len(), state.limit.unwrap_or(usize::MAX));
        let error = match (state.is_down, len > limit) {
            (true, _) => PublishError::Unreachable,
            (_, true) => PublishError::TooLarge { len, limit },
            _ => return None,
        };
        Some(Box::pin(std::future::ready(Err(error))))
    }
}

impl Adapter for Spoke {
    fn node(&self) -> &str {
        &self.node
    }

    fn start(&self, local: LocalDelivery) -> Result<(), StartError> {
        let mut state = self.hub.state();
        let inlets = state.inlets.entry(self.node.clone()).or_default();
        inlets.push(local);
        Ok(())
    }

    fn broadcast(&self, _: &Topic, message: Bytes) -> Sent {
        if let Some(refused) = self.refused(&message) {
            return refused;
        }
        let inlets: Vec<LocalDelivery> = self
            .hub
            .state()
            .inlets
            .values()
            .flatten()
            .cloned()
            .collect();
        for local in inlets {
            let _garbage = local.deliver(message.clone());
        }
        Box::pin(async { Ok(()) })
    }

    fn direct_broadcast(&self, node: &str, message: Bytes) -> Sent {
        if let Some(refused) = self.refused(&message) {
            return refused;
        }
        let inlets = {
            let mut state = self.hub.state();
            *state.direct.entry(node.to_owned()).or_default() += 1;
            state.read.push((node.to_owned(), message.clone()));
            if let Some(held) = state.held.get_mut(node) {
                held.push_back(message);
                return Box::pin(async { Ok(()) });
            }
            match state.losses.get_mut(node) {
                Some(left @ 1..) => {
                    *left -= 1;
                    None
                }
                _ => state.inlets.get(node).cloned(),
            }
        };
        for local in inlets.into_iter().flatten() {
            let _garbage = local.deliver(message.clone());
        }
        Box::pin(async { Ok(()) })
    }

    fn subscribe(&self, _: &Topic) {}

    fn unsubscribe(&self, _: &Topic) {}

    fn health(&self) -> Health {
        Health::up(&self.node)
    }
}
