//! The layer's service.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use futures_util::future::BoxFuture;
use tower_service::Service;

use super::{ClientAddress, Rules};

/// The service of [`ForceSsl`](super::ForceSsl).
#[derive(Clone)]
pub struct ForceSslService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> ForceSslService<S> {
    pub(super) fn new(inner: S, rules: Arc<Rules>) -> Self {
        ForceSslService { inner, rules }
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for ForceSslService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForceSslService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// The decision about a request.
enum Verdict {
    /// The request is excluded.
    Pass,
    /// The request came over HTTPS.
    Secure,
    /// The request must be repeated over HTTPS.
    Redirect(HeaderValue),
    /// The request names no host to redirect to.
    NoHost,
}

impl Rules {
    fn judge(&self, address: &ClientAddress, uri: &Uri) -> Verdict {
        let host = address.host.as_deref();
        if self.is_excluded(host.unwrap_or_default(), uri) {
            return Verdict::Pass;
        }
        if address.https {
            return Verdict::Secure;
        }
        match self.target(host, uri) {
            Some(target) => Verdict::Redirect(target),
            None => Verdict::NoHost,
        }
    }

    fn is_excluded(&self, host: &str, uri: &Uri) -> bool {
        let named = self.excluded.contains(host);
        named || self.exclude.as_ref().is_some_and(|says| says(host, uri))
    }

    fn target(&self, host: Option<&str>, uri: &Uri) -> Option<HeaderValue> {
        let host = match &self.host {
            Some(configured) => configured.as_str(),
            None => host?,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // `OPTIONS *` has no path to redirect to.
        let path = if path.starts_with('/') { path } else { "/" };
        HeaderValue::try_from(format!("https://{host}{path}")).ok()
    }
}

impl<S, B, R> Service<Request<B>> for ForceSslService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (uri, headers) = (request.uri(), request.headers());
        let address = ClientAddress::of(&self.rules, uri, headers, request.extensions());
        let verdict = self.rules.judge(&address, uri);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        request.extensions_mut().insert(address);
        match verdict {
            Verdict::Pass => Box::pin(self.inner.call(request)),
            Verdict::Secure => {
                let (answer, hsts) = (self.inner.call(request), self.rules.hsts.clone());
                Box::pin(async move {
                    let mut response = answer.await?;
                    if let Some(hsts) = hsts {
                        let headers = response.headers_mut();
                        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
                    }
                    Ok(response)
                })
            }
            Verdict::Redirect(target) => {
                let mut response = Response::new(R::default());
                // 307 keeps the method and the body, which 301 does not.
                *response.status_mut() = match is_read {
                    true => StatusCode::MOVED_PERMANENTLY,
                    false => StatusCode::TEMPORARY_REDIRECT,
                };
                response.headers_mut().insert(header::LOCATION, target);
                Box::pin(async { Ok(response) })
            }
            Verdict::NoHost => {
                let mut response = Response::new(R::default());
                *response.status_mut() = StatusCode::BAD_REQUEST;
                Box::pin(async { Ok(response) })
            }
        }
    }
}
