use std::{future::Future, pin::Pin};

/// The result of a handler: its value at once, or a future of it.
///
/// A handler that is not async costs no allocation; an async one is boxed, so that an idle
/// channel stays small however large its handlers' futures are.
#[must_use = "a handler that is not awaited does nothing"]
pub enum HandlerFuture<'a, T> {
    /// The value of a handler that is not async.
    Ready(T),
    /// The future of an async handler.
    Pending(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> HandlerFuture<'a, T> {
    /// Wraps the value of a handler that is not async.
    pub fn ready(value: T) -> Self {
        HandlerFuture::Ready(value)
    }

    /// Wraps the future of an async handler.
    pub fn pending(future: impl Future<Output = T> + Send + 'a) -> Self {
        HandlerFuture::Pending(Box::pin(future))
    }

    pub(crate) async fn run(self) -> T {
        match self {
            HandlerFuture::Ready(value) => value,
            HandlerFuture::Pending(future) => future.await,
        }
    }
}
