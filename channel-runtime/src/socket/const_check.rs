//! The compile-time checks of generated code, and their messages, which a constant must build
//! without allocating.

use crate::{channel::SocketView, protocol::pattern_covers, socket::Route};

/// A message built in a constant. Text past its end is left out.
#[derive(Clone, Copy)]
struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    const EMPTY: Text = Text {
        bytes: [0; 1024],
        len: 0,
    };

    /// The message.
    const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.len);
        match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => "a message that is too long",
        }
    }

    const fn with(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && self.len < self.bytes.len() {
            self.bytes[self.len] = bytes[at];
            self.len += 1;
            at += 1;
        }
        self
    }

    /// Adds topic patterns, in quotes.
    const fn with_topics(mut self, topics: &[&str]) -> Self {
        let mut at = 0;
        while at < topics.len() {
            let before = if at == 0 { "\"" } else { ", \"" };
            self = self.with(before).with(topics[at]).with("\"");
            at += 1;
        }
        self
    }
}

/// Fails where a message tells what is wrong, at the caller.
#[track_caller]
const fn refuse(wrong: Option<Text>) {
    if let Some(message) = wrong {
        panic!("{}", message.as_str());
    }
}

/// Fails when a `#[handle_out(handled)]` takes the type `taker`, whose event is another one.
#[track_caller]
pub const fn check_intercepted(handled: &str, taker: &str, taken: Option<&str>) {
    refuse(other_event(handled, taker, taken));
}

/// Fails when a channel pushes `event` under the name of one of the `earlier` types.
#[track_caller]
pub const fn check_event(event: &str, name: &str, earlier: &[(&str, &str)]) {
    refuse(same_event(event, name, earlier));
}

/// Fails when the route at `at` is not what it should be beside the others of its socket.
#[track_caller]
pub const fn check_route<S: SocketView, const N: usize>(routes: &[Route<S>; N], at: usize) {
    refuse(wrong_route(routes, at));
}

/// Fails when two parameters of a `#[handle_in]` are both a message, or both a means to answer it.
#[track_caller]
pub const fn check_owned(same_kind: bool, message: &str) {
    if same_kind {
        panic!("{}", message);
    }
}

/// The error of a `#[handle_out(handled)]` that takes the type `taker`, whose event is `taken`.
const fn other_event(handled: &str, taker: &str, taken: Option<&str>) -> Option<Text> {
    match taken {
        Some(taken) if !equal(handled, taken) => Some(
            Text::EMPTY
                .with("this handles \"")
                .with(handled)
                .with("\", but `")
                .with(taker)
                .with("` is the event \"")
                .with(taken)
                .with("\""),
        ),
        _ => None,
    }
}

/// The error of a channel that pushes `event` under the name of one of the `earlier` types.
const fn same_event(event: &str, name: &str, earlier: &[(&str, &str)]) -> Option<Text> {
    let mut at = 0;
    while at < earlier.len() {
        let (other, other_name) = earlier[at];
        if equal(name, other_name) {
            return Some(
                Text::EMPTY
                    .with("`")
                    .with(event)
                    .with("` and `")
                    .with(other)
                    .with("` are both the event \"")
                    .with(name)
                    .with("\""),
            );
        }
        at += 1;
    }
    None
}

/// The error of the route at `at`, beside the others of its socket.
const fn wrong_route<S: SocketView, const N: usize>(
    routes: &[Route<S>; N],
    at: usize,
) -> Option<Text> {
    match unreachable_route(routes, at) {
        None => without_upload_channel(routes, at),
        wrong => wrong,
    }
}

/// Returns the error if a channel takes uploads and the socket lacks the channel for their bytes.
const fn without_upload_channel<S: SocketView, const N: usize>(
    routes: &[Route<S>; N],
    at: usize,
) -> Option<Text> {
    if !routes[at].takes_uploads() || taking(routes, N, "lvu:*").is_some() {
        return None;
    }
    let channel = routes[at].channel();
    Some(
        Text::EMPTY
            .with("`")
            .with(channel)
            .with("` takes uploads, but no channel of this socket brings them\nhelp: `channels = [")
            .with(channel)
            .with(", UploadChannel]`"),
    )
}

/// Returns the error if no client can ever reach the route at `at`.
const fn unreachable_route<S: SocketView, const N: usize>(
    routes: &[Route<S>; N],
    at: usize,
) -> Option<Text> {
    let topics = routes[at].topics();
    let mut taker = None;
    let mut topic = 0;
    while topic < topics.len() {
        taker = taking(routes, at, topics[topic]);
        if taker.is_none() {
            return None;
        }
        topic += 1;
    }
    let Some(taker) = taker else { return None };
    if equal(routes[at].channel(), routes[taker].channel()) {
        return Some(
            Text::EMPTY
                .with("`")
                .with(routes[at].channel())
                .with("` is listed already, with other type arguments: clients of both join ")
                .with_topics(topics)
                .with(", so the first gets them all\nhelp: one socket for each"),
        );
    }
    Some(
        Text::EMPTY
            .with("`")
            .with(routes[at].channel())
            .with("` (")
            .with_topics(topics)
            .with(") can never be reached: `")
            .with(routes[taker].channel())
            .with("` (")
            .with_topics(routes[taker].topics())
            .with(") takes all its topics"),
    )
}

/// Returns the route before `end` that takes all topics of a pattern.
const fn taking<S: SocketView>(routes: &[Route<S>], end: usize, topic: &str) -> Option<usize> {
    let mut route = 0;
    while route < end {
        let patterns = routes[route].topics();
        let mut at = 0;
        while at < patterns.len() {
            if pattern_covers(patterns[at], topic) {
                return Some(route);
            }
            at += 1;
        }
        route += 1;
    }
    None
}

const fn equal(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_of_a_taken_type_is_compared() {
        assert!(other_event("new_msg", "NewMsg", Some("new_msg")).is_none());
        assert!(other_event("new_msg", "Payload", None).is_none());
        let message = other_event("new_msg", "Other", Some("other")).unwrap();
        assert_eq!(
            message.as_str(),
            "this handles \"new_msg\", but `Other` is the event \"other\""
        );
    }

    #[test]
    fn a_message_that_is_too_long_is_cut() {
        let long = "x".repeat(2000);
        assert_eq!(Text::EMPTY.with(&long).as_str().len(), 1024);
    }

    #[test]
    fn two_events_of_one_name_are_found() {
        assert!(same_event("A", "a", &[("B", "b")]).is_none());
        let message = same_event("A", "a", &[("B", "b"), ("C", "a")]).unwrap();
        assert_eq!(message.as_str(), "`A` and `C` are both the event \"a\"");
    }
}
