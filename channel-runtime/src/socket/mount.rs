//! A channel socket at its path: connects clients and hands them to the transport.

use std::{marker::PhantomData, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    ChannelSocket, Close, ConnectContext, Outbox, Outlet, Route,
    peer::{ChannelPeer, Channels},
};
use crate::{
    Endpoint, Topic,
    endpoint::SocketOptions,
    pubsub::{Broadcast, Relay, Subscription},
    transport::{ConnectError, ConnectRequest, Connection, Mount, guarded},
    wire::SharedSerializer,
};

/// A socket type with its options.
pub(crate) struct MountOf<S> {
    options: SocketOptions,
    routes: Arc<[Route<S>]>,
}

impl<S: ChannelSocket> MountOf<S> {
    pub(crate) fn new(options: SocketOptions) -> Self {
        MountOf {
            options,
            routes: S::routes().into(),
        }
    }

    async fn open(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> Result<Connection, ConnectError> {
        let serializer = self.negotiate(&request).ok_or(ConnectError::Version)?;
        let cx = ConnectContext {
            request: &request,
            endpoint: &endpoint,
            socket: PhantomData,
        };
        let user = S::connect(&cx, &request.params)
            .run()
            .await
            .map_err(ConnectError::Refused)?;
        let outbox = Outbox::new(self.options.outbox());
        let disconnect = match user.id() {
            Some(id) => Some(disconnect_on(id, &endpoint, &outbox).await),
            None => None,
        };
        let channels = Channels {
            user: Arc::new(user),
            routes: self.routes.clone(),
        };
        let registered = endpoint.register(&outbox)?;
        let outlet = Outlet::new(outbox.clone(), serializer);
        let peer = ChannelPeer::new(
            Box::new(channels),
            outlet,
            request.info,
            endpoint,
            &self.options,
            disconnect,
        );
        Ok(Connection::new(Box::new(peer), outbox, registered))
    }

    fn negotiate(&self, request: &ConnectRequest) -> Option<SharedSerializer> {
        let vsn = request.params.get("vsn");
        let (vsn, offered) = (vsn.as_deref().unwrap_or("1.0.0"), &self.options.serializers);
        let serializer = match request.text_only {
            true => offered.negotiate_text(vsn),
            false => offered.negotiate(vsn),
        };
        serializer.filter(|_| !request.params.has_nested("vsn"))
    }
}

/// Ends the connection when somebody broadcasts `disconnect` to the socket's id, on whatever node.
async fn disconnect_on(id: String, endpoint: &Endpoint, outbox: &Arc<Outbox>) -> Subscription {
    let outbox = Arc::downgrade(outbox);
    let relay = Relay::new(move |broadcast: &Broadcast| {
        if let Some(outbox) = outbox
            .upgrade()
            .filter(|_| broadcast.event() == "disconnect")
        {
            outbox.close(Close::DISCONNECT);
        }
    });
    let (pubsub, topic) = (endpoint.pubsub(), Topic::from(id));
    let prepared = pubsub.prepare(&topic).await;
    pubsub.subscribe_then(prepared, topic, pubsub.new_id(), Arc::new(relay), || ())
}

impl<S: ChannelSocket> Mount for MountOf<S> {
    fn connect(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(guarded(
            self.name(),
            request.info.transport,
            self.open(endpoint, request),
        ))
    }

    fn options(&self) -> &SocketOptions {
        &self.options
    }

    #[cfg(feature = "uploads")]
    fn check(&self) -> Result<(), crate::ConfigError> {
        let mut uploads = self.routes.iter().flat_map(Route::uploads);
        uploads.try_for_each(|upload| upload.check(&self.options))
    }

    fn patterns(&self) -> Vec<(&'static str, &'static str)> {
        super::patterns(&self.routes).into_iter().collect()
    }

    fn name(&self) -> &'static str {
        S::NAME
    }
}
