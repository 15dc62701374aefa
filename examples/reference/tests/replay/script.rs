//! Steps in a few words, to write scenarios by hand.

use crate::{
    frame::Frame,
    recording::{Expected, HandlerFuture},
};

/// Client `a` receives a text.
pub(crate) fn got(text: &str) -> HandlerFuture {
    receive("a", text)
}

/// Client `a` sends a text.
pub(crate) fn says(text: &str) -> HandlerFuture {
    send_from("a", text)
}

/// A client receives a text.
pub(crate) fn receive(client: &str, text: &str) -> HandlerFuture {
    HandlerFuture::Receive(client.to_owned(), Expected::Text(text.to_owned()))
}

/// A client sends a text.
pub(crate) fn send_from(client: &str, text: &str) -> HandlerFuture {
    HandlerFuture::Send(client.to_owned(), Frame::text(text))
}
