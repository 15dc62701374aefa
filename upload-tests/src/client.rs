//! `object_store`'s client of S3, over plain HTTP.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use hyper_util::{
    client::legacy::{Client, connect},
    rt::TokioExecutor,
};
use object_store::{
    ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
        HttpResponse, HttpResponseBody, HttpService,
    },
};

/// Returns a client of the bucket of a [`Server`](crate::Server).
pub fn store(address: SocketAddr) -> Arc<AmazonS3> {
    let retry = RetryConfig {
        max_retries: 1,
        retry_timeout: Duration::from_secs(5),
        ..RetryConfig::default()
    };
    let store = AmazonS3Builder::new()
        .with_endpoint(format!("http://{address}"))
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(crate::server::BUCKET)
        .with_access_key_id(crate::server::KEY)
        .with_secret_access_key(crate::server::SECRET)
        .with_http_connector(Plain)
        .with_retry(retry);
    Arc::new(store.build().unwrap())
}

#[derive(Debug)]
struct Plain;

#[derive(Debug)]
struct Http(Client<connect::HttpConnector, HttpRequestBody>);

impl HttpConnector for Plain {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(HttpClient::new(Http(client)))
    }
}

#[async_trait]
impl HttpService for Http {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.request(request).await;
        let response = response.map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
        Ok(response.map(|body| HttpResponseBody::new(Body(body))))
    }
}

/// A body whose errors are the store's.
struct Body(hyper::body::Incoming);

impl hyper::body::Body for Body {
    type Data = bytes::Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::pin::Pin::new(&mut self.0)
            .poll_frame(cx)
            .map_err(|error| HttpError::new(HttpErrorKind::Request, error))
    }
}
