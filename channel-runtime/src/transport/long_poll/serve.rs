//! Connects HTTP requests with their sessions.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    http::{Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    answer::{self, status},
    body,
    handle::{Asked, Handle},
    publish::publish,
    query,
    remote::{RemoteSessions, RpcError},
    session::Session,
    sessions::{SessionId, Ticket},
};
use crate::telemetry::shown;
use crate::{
    connection::{ConnectError, Connection},
    endpoint::Endpoint,
    options::LongPollOptions,
    pubsub::Peer,
    socket::Mount,
    telemetry,
    token::SealError,
    transport::{check_origin, connect_request},
};

/// The transport's name, in logs and in the connect info.
const NAME: &str = "longpoll";

/// A socket with the long-poll transport.
pub(in crate::transport) struct LongPoll {
    endpoint: Endpoint,
    mount: Arc<dyn Mount>,
    options: LongPollOptions,
    remote: Arc<RemoteSessions>,
}

/// The location of a session.
enum Place {
    Here(Handle),
    Elsewhere(Peer),
}

impl LongPoll {
    pub(in crate::transport) fn new(
        endpoint: Endpoint,
        remote: Arc<RemoteSessions>,
        mount: Arc<dyn Mount>,
        options: LongPollOptions,
    ) -> Arc<Self> {
        Arc::new(LongPoll {
            endpoint,
            mount,
            options,
            remote,
        })
    }

    pub(in crate::transport) async fn serve(self: Arc<Self>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let socket = self.mount.options();
        telemetry::transport_request(socket.transport_log, NAME, &parts);
        let origin = self.options.origin(&socket.check_origin);
        if let Err(error) = check_origin(origin, &self.endpoint, &parts) {
            telemetry::turned_away(NAME, &error);
            return answer::refused(&error);
        }
        match parts.method {
            Method::GET => self.get(parts).await,
            Method::POST => self.post(&parts, body).await,
            Method::OPTIONS => answer::preflight(&parts.headers),
            _ => StatusCode::BAD_REQUEST.into_response(),
        }
    }

    /// Polls the session, or opens a new one.
    async fn get(&self, request: Parts) -> Response {
        if let Some((token, ticket, place)) = self.session(&request) {
            let polled = match place {
                Place::Here(session) => self.poll(token, &ticket, &session).await,
                Place::Elsewhere(host) => self.poll_elsewhere(token, ticket, &host).await,
            };
            // If the session has ended, the client learns it from the new one.
            if let Some(answer) = polled {
                return answer;
            }
        }
        let opened = self.connect(request).await;
        let opened = opened.and_then(|connection| self.open(connection));
        match opened {
            Ok(token) => answer::polled(status::GONE, &token, Vec::new()),
            Err(error) => answer::refused(&error),
        }
    }

    /// Returns the answer to a poll, unless the session has ended.
    async fn poll(&self, token: &str, ticket: &Ticket, session: &Handle) -> Option<Response> {
        let asked = Asked {
            taken: ticket.taken,
            call: None,
        };
        let draining = self.endpoint.draining();
        let polled = session.poll(asked, self.options.poll_time(), draining);
        let frames = polled.await.ok()?.frames;
        let status = match frames.is_empty() {
            true => status::NO_CONTENT,
            false => status::OK,
        };
        Some(answer::polled(status, token, frames))
    }

    async fn poll_elsewhere(&self, token: &str, ticket: Ticket, host: &Peer) -> Option<Response> {
        match self.remote.poll(token, host).await {
            Ok(Some((taken, messages))) => match self.sign(&Ticket { taken, ..ticket }) {
                Ok(token) => Some(answer::polled_raw(status::OK, &token, &messages)),
                Err(error) => Some(answer::refused(&error)),
            },
            Ok(None) => Some(answer::polled(status::NO_CONTENT, token, Vec::new())),
            Err(RpcError::Gone) => None,
            Err(RpcError::Unreachable) => Some(answer::status(status::ERROR)),
        }
    }

    async fn post(&self, request: &Parts, body: Body) -> Response {
        let Some((token, _, place)) = self.session(request) else {
            self.remote.unknown(query::tokens(request));
            return answer::status(status::GONE);
        };
        let content_type = request.headers.get(header::CONTENT_TYPE);
        let is_batch = content_type.is_some_and(|value| value == "application/x-ndjson");
        let published = match place {
            Place::Here(session) => self.publish(&session, is_batch, body).await,
            Place::Elsewhere(host) => {
                let remote = &self.remote;
                remote.publish(token, &host, is_batch, body).await
            }
        };
        answer::status(published.err().unwrap_or(status::OK))
    }

    async fn publish(&self, session: &Handle, is_batch: bool, body: Body) -> Result<(), u16> {
        let most = self.options.max_body_bytes;
        body::check_length(&body, most)?;
        let all = self.endpoint.connections().half_received();
        let read = body::read(body, most, all);
        publish(session, &self.options, is_batch, read).await
    }

    /// Returns the session whose token a request carries, and that token.
    fn session<'r>(&self, request: &'r Parts) -> Option<(&'r str, Ticket, Place)> {
        query::tokens(request).find_map(|token| {
            let ticket = self.remote.tokens().decrypt::<Ticket>(token).ok()?;
            let place = match self.remote.sessions().get(ticket.id) {
                Some(session) => Place::Here(session),
                None => Place::Elsewhere(self.remote.host_of(&ticket)?.clone()),
            };
            Some((token, ticket, place))
        })
    }

    async fn connect(&self, mut request: Parts) -> Result<Connection, ConnectError> {
        self.check_room()
            .inspect_err(|error| telemetry::turned_away(NAME, error))?;
        let is_session = |token: &str| self.remote.tokens().decrypt::<Ticket>(token).is_ok();
        if let Some(uri) = query::without_session(&request.uri, is_session) {
            request.uri = uri;
        }
        let options = self.mount.options();
        let mut connect = connect_request(&self.endpoint, options, NAME, &mut request).await?;
        connect.text_only = true;
        self.mount.connect(self.endpoint.clone(), connect).await
    }

    /// Checks whether another session may open. While the server drains, existing sessions keep
    /// working until their turn comes.
    fn check_room(&self) -> Result<(), ConnectError> {
        if self.endpoint.is_draining() {
            return Err(ConnectError::Draining);
        }
        match self.remote.sessions().count() >= self.options.most_sessions() {
            true => Err(ConnectError::Full),
            false => Ok(()),
        }
    }

    /// Creates a session of a connection; returns its token.
    fn open(&self, connection: Connection) -> Result<String, ConnectError> {
        let (handle, requests) = Handle::new();
        let id = SessionId::random().map_err(unnamed)?;
        let token = self.sign(&Ticket {
            id,
            host: self.endpoint.pubsub().here().cloned(),
            taken: 0,
        })?;
        // Other sessions may have opened while the socket's connect ran.
        let most = self.options.most_sessions();
        let entry = self.remote.sessions().insert(id, handle, most);
        let entry = entry.ok_or(ConnectError::Full)?;
        let session = Session::new(connection, requests, self.options.lifetime());
        self.endpoint.tasks().spawn(session.run(entry));
        Ok(token)
    }

    fn sign(&self, ticket: &Ticket) -> Result<String, ConnectError> {
        self.remote.tokens().encrypt(ticket).map_err(unnamed)
    }
}

/// Returns the error for missing randomness, which does not occur on a running server.
fn unnamed(error: SealError) -> ConnectError {
    tracing::error!(error = %shown(&error), "a long-poll session cannot be named");
    ConnectError::Full
}
