//! The messages of clients, and the answers of servers, in each of the protocols.

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Version 2 of Phoenix's.
    Phoenix,
    /// Version 1 of Phoenix's.
    PhoenixV1,
    /// Version 5 of Socket.IO's, over a WebSocket from the start.
    SocketIo,
}

/// The kind of a message from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The answer to a client's message.
    Answer,
    /// A broadcast.
    Delivery,
    /// A ping that the client must answer.
    Ping,
    /// Anything else.
    Other,
}

impl Protocol {
    /// Returns the path of the handshake, unless a URL gives one.
    pub fn path(self) -> &'static str {
        match self {
            Protocol::Phoenix => "/socket/websocket?vsn=2.0.0",
            Protocol::PhoenixV1 => "/socket/websocket?vsn=1.0.0",
            Protocol::SocketIo => "/socket.io/?EIO=4&transport=websocket",
        }
    }

    /// Returns the message before the first join, if there is one.
    pub fn hello(self) -> Option<&'static str> {
        match self {
            Protocol::Phoenix | Protocol::PhoenixV1 => None,
            Protocol::SocketIo => Some("40"),
        }
    }

    /// Returns the message that a client sends every half a minute.
    pub fn heartbeat(self) -> Option<&'static str> {
        match self {
            Protocol::Phoenix => Some(r#"[null,"3","phoenix","heartbeat",{}]"#),
            Protocol::PhoenixV1 => {
                Some(r#"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"3"}"#)
            }
            Protocol::SocketIo => None,
        }
    }

    /// The answer to a [`Said::Ping`].
    pub fn pong(self) -> &'static str {
        "3"
    }

    /// Returns the join of a topic, which is answered.
    pub fn join(self, topic: &str) -> String {
        match self {
            Protocol::Phoenix | Protocol::PhoenixV1 => self.phoenix(topic, "phx_join", "{}"),
            Protocol::SocketIo => format!(r#"420["join","{topic}"]"#),
        }
    }

    /// Returns a message of 100 bytes that come back in the answer.
    pub fn echo(self, topic: &str) -> String {
        match self {
            Protocol::Phoenix | Protocol::PhoenixV1 => self.phoenix(topic, "echo", &body()),
            Protocol::SocketIo => format!(r#"421["echo",{}]"#, body()),
        }
    }

    /// Returns a message of 100 bytes to a topic's subscribers, as an event; there is no answer.
    pub fn cast(self, topic: &str, event: &str) -> String {
        match self {
            Protocol::Phoenix | Protocol::PhoenixV1 => self.phoenix(topic, event, &body()),
            Protocol::SocketIo => format!(r#"42["{event}","{topic}",{}]"#, body()),
        }
    }

    fn phoenix(self, topic: &str, event: &str, body: &str) -> String {
        if self == Protocol::PhoenixV1 {
            return format!(
                r#"{{"topic":"{topic}","event":"{event}","payload":{body},"ref":"1","join_ref":"1"}}"#
            );
        }
        format!(r#"["1","1","{topic}","{event}",{body}]"#)
    }

    /// Returns the kind of a message, and reads no more of it than that takes.
    pub fn read(self, payload: &[u8]) -> Said {
        match self {
            Protocol::Phoenix if payload.starts_with(b"[null,null,") => Said::Delivery,
            Protocol::PhoenixV1 | Protocol::Phoenix if contains(payload, b"\"phx_reply\"") => {
                Said::Answer
            }
            Protocol::PhoenixV1 | Protocol::Phoenix => Said::Delivery,
            Protocol::SocketIo => match payload {
                [b'4', b'2', ..] => Said::Delivery,
                [b'4', b'0' | b'3', ..] => Said::Answer,
                b"2" => Said::Ping,
                _ => Said::Other,
            },
        }
    }

    /// Returns true if an answer is a refusal.
    pub fn is_refusal(self, answer: &[u8]) -> bool {
        self != Protocol::SocketIo && contains(answer, br#""status":"error""#)
    }
}

fn body() -> String {
    format!(r#"{{"body":"{}"}}"#, "x".repeat(100))
}

fn contains(payload: &[u8], part: &[u8]) -> bool {
    payload.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phoenixs_messages_are_told_apart() {
        let read = |text: &str| Protocol::Phoenix.read(text.as_bytes());
        let reply = r#"["1","1","bench:1","phx_reply",{"status":"ok","response":{}}]"#;
        assert_eq!(read(reply), Said::Answer);
        assert_eq!(read(r#"[null,null,"bench:1","cast",{}]"#), Said::Delivery);
        assert_eq!(read(r#"["1",null,"bench:1","cast",{}]"#), Said::Delivery);
    }

    #[test]
    fn socket_ios_messages_are_told_apart() {
        let read = |text: &str| Protocol::SocketIo.read(text.as_bytes());
        assert_eq!(read(r#"0{"sid":"x","pingInterval":25000}"#), Said::Other);
        assert_eq!(read(r#"40{"sid":"x"}"#), Said::Answer);
        assert_eq!(read("430[]"), Said::Answer);
        assert_eq!(read(r#"42["cast",{}]"#), Said::Delivery);
        assert_eq!(read("2"), Said::Ping);
    }

    #[test]
    fn a_refused_join_is_seen() {
        let reply = br#"["1","1","t","phx_reply",{"status":"error","response":{}}]"#;
        assert!(Protocol::Phoenix.is_refusal(reply));
    }
}
