//! From HTTP requests to a session and back.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    http::{Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use super::{
    LongPollOptions, Sessions,
    answer::{self, status},
    body,
    handle::Handle,
    query,
    session::Session,
    sessions::SessionId,
};
use crate::{
    Endpoint, Error, Token, telemetry,
    transport::{ConnectError, Connection, Mount, check_origin, connect_request},
};

/// The transport's name, in logs and in what a socket learns of its client.
const NAME: &str = "longpoll";

/// A socket that clients may poll.
pub(in crate::transport) struct LongPoll {
    endpoint: Endpoint,
    mount: Arc<dyn Mount>,
    options: LongPollOptions,
    sessions: Sessions,
    tokens: Token,
}

impl LongPoll {
    /// A socket's tokens are of a kind of their own, so that none opens a session of another.
    pub(in crate::transport) fn new(
        endpoint: Endpoint,
        path: &str,
        mount: Arc<dyn Mount>,
        options: LongPollOptions,
    ) -> Arc<Self> {
        let tokens = endpoint.token(&format!("channel long-poll {path}"));
        Arc::new(LongPoll {
            tokens: tokens.max_age(options.token_age()),
            sessions: endpoint.long_poll(path),
            endpoint,
            mount,
            options,
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

    /// Polls the session, or opens one.
    async fn get(&self, request: Parts) -> Response {
        if let Some((token, session)) = self.session(&request) {
            let draining = self.endpoint.draining();
            match session.poll(self.options.poll_time(), draining).await {
                Ok(frames) if frames.is_empty() => {
                    return answer::polled(status::NO_CONTENT, token, frames);
                }
                Ok(frames) => return answer::polled(status::OK, token, frames),
                // The client learns that it has ended from the new one.
                Err(_ended) => {}
            }
        }
        let opened = self.connect(request).await;
        let opened = opened.and_then(|connection| self.open(connection));
        match opened {
            Ok(token) => answer::polled(status::GONE, &token, Vec::new()),
            Err(error) => answer::refused(&error),
        }
    }

    async fn post(&self, request: &Parts, body: Body) -> Response {
        let Some((_, session)) = self.session(request) else {
            return answer::status(status::GONE);
        };
        let content_type = request.headers.get(header::CONTENT_TYPE);
        let is_batch = content_type.is_some_and(|value| value == "application/x-ndjson");
        let published = tokio::select! {
            biased;
            published = self.publish(&session, is_batch, body) => published,
            () = session.ended() => Err(status::GONE),
        };
        answer::status(published.err().unwrap_or(status::OK))
    }

    async fn publish(&self, session: &Handle, is_batch: bool, body: Body) -> Result<(), u16> {
        let options = &self.options;
        let late = |_| status::TIMEOUT;
        body::check_length(&body, options.max_body_bytes)?;
        let turn = timeout(options.poll_time(), session.turn())
            .await
            .map_err(late)?;
        let read = body::read(body, options.max_body_bytes);
        let bytes = timeout(options.body_time(), read).await.map_err(late)??;
        let frames = match is_batch {
            true => body::batch(&bytes, options.max_batch_frames)?,
            false => body::single(bytes)?,
        };
        let published = timeout(options.poll_time(), turn.publish(frames)).await;
        published.map_err(late)?
    }

    /// The session whose token a request has, and that token.
    fn session<'r>(&self, request: &'r Parts) -> Option<(&'r str, Handle)> {
        query::tokens(request).find_map(|token| {
            let id = self.tokens.verify(token).ok()?;
            Some((token, self.sessions.get(id)?))
        })
    }

    async fn connect(&self, mut request: Parts) -> Result<Connection, ConnectError> {
        self.check_room()
            .inspect_err(|error| telemetry::turned_away(NAME, error))?;
        let is_session = |token: &str| self.tokens.verify::<SessionId>(token).is_ok();
        if let Some(uri) = query::without_session(&request.uri, is_session) {
            request.uri = uri;
        }
        let options = self.mount.options();
        let mut connect = connect_request(&self.endpoint, options, NAME, &mut request).await?;
        connect.text_only = true;
        self.mount.connect(self.endpoint.clone(), connect).await
    }

    /// Whether another session may open. Those that are there work on while the server drains,
    /// until their turn has come.
    fn check_room(&self) -> Result<(), ConnectError> {
        if self.endpoint.is_draining() {
            return Err(ConnectError::Draining);
        }
        match self.sessions.count() >= self.options.most_sessions() {
            true => Err(ConnectError::Full),
            false => Ok(()),
        }
    }

    /// Makes a session of a connection; its token.
    fn open(&self, connection: Connection) -> Result<String, ConnectError> {
        let (handle, requests) = Handle::new();
        let (id, token) = self.name().map_err(|error| {
            tracing::error!(%error, "a long-poll session cannot be named");
            ConnectError::Full
        })?;
        // Others may have come while the socket's connect ran.
        let entry = self
            .sessions
            .insert(id, handle, self.options.most_sessions());
        let entry = entry.ok_or(ConnectError::Full)?;
        let session = Session::new(connection, requests, self.options.lifetime());
        self.endpoint.tasks().spawn(session.run(entry));
        Ok(token)
    }

    fn name(&self) -> Result<(SessionId, String), Error> {
        let id = SessionId::random()?;
        Ok((id, self.tokens.sign(&id)?))
    }
}
