//! Compares the codec with tungstenite: its output is read as it was sent, however it is split, and
//! both accept or both refuse arbitrary bytes.

use std::io::{Cursor, Read, Write};

use proptest::{collection::vec, prelude::*};
use tokio_tungstenite::tungstenite::{
    self,
    protocol::{Role, WebSocket, WebSocketConfig, frame::Frame as WsFrame},
};

use super::{
    tests::{decode, masked},
    *,
};

/// A stream that reads these bytes and discards writes.
struct Bytewise(Cursor<Vec<u8>>);

impl Read for Bytewise {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for Bytewise {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns tungstenite's result for the same bytes, with the same limits.
fn oracle(bytes: &[u8]) -> (Vec<Message>, bool) {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(1000))
        .max_message_size(Some(1500));
    let io = Bytewise(Cursor::new(bytes.to_vec()));
    let mut socket = WebSocket::from_raw_socket(io, Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        messages.push(match socket.read() {
            Ok(tungstenite::Message::Text(text)) => Message::Text(text.as_str().into()),
            Ok(tungstenite::Message::Binary(bytes)) => Message::Binary(bytes),
            Ok(tungstenite::Message::Ping(bytes)) => Message::Ping(bytes),
            Ok(tungstenite::Message::Pong(bytes)) => Message::Pong(bytes),
            // tungstenite's result for a close with a forbidden code.
            Ok(tungstenite::Message::Close(Some(close)))
                if close.reason == "Protocol violation" =>
            {
                return (messages, true);
            }
            Ok(tungstenite::Message::Close(_) | tungstenite::Message::Frame(_)) => {
                return (messages, false);
            }
            Err(tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return (messages, false),
            Err(_) => return (messages, true),
        });
    }
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        6 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => ".{0,60}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..400),
    ];
    vec(
        (first, payload).prop_map(|(first, payload)| masked(first, &payload)),
        0..8,
    )
    .prop_map(|frames| frames.concat())
}

fn is_control(message: &Message) -> bool {
    matches!(
        message,
        Message::Ping(_) | Message::Pong(_) | Message::Close(_)
    )
}

proptest! {
    #[test]
    fn both_read_the_same_messages(bytes in frames(), piece in 1_usize..50) {
        // A close ends tungstenite's reading; here the transport stops on its own.
        let (mut messages, close) = decode(&bytes, piece);
        let closed = messages.iter().position(|message| matches!(message, Message::Close(_)));
        if let Some(at) = closed {
            messages.truncate(at);
        }
        let (expected, refused) = oracle(&bytes);
        if refused {
            // tungstenite refuses a text fragment that is not UTF-8, this codec the message it
            // belongs to.
            prop_assert_eq!(&messages[..expected.len()], &expected[..]);
            prop_assert!(messages[expected.len()..].iter().all(is_control));
        } else {
            prop_assert_eq!(messages, expected);
            prop_assert!(close.is_none() || closed.is_some());
        }
    }

    #[test]
    fn both_refuse_a_close_with_a_code_that_nobody_may_send(code in any::<u16>()) {
        let bytes = masked(0x88, &code.to_be_bytes());
        let (messages, close) = decode(&bytes, bytes.len());
        let (_, refused) = oracle(&bytes);
        prop_assert_eq!((messages.is_empty(), close.is_some()), (refused, refused));
    }

    #[test]
    fn no_bytes_make_it_panic_or_keep_more_than_a_frame(
        bytes in vec(any::<u8>(), 0..600), piece in 1_usize..50,
    ) {
        let mut decoder = Decoder::new(Limits { frame: 1000, message: 1500 });
        for chunk in bytes.chunks(piece) {
            if decoder.read(&mut chunk.to_vec(), |_| {}).is_err() {
                return Ok(());
            }
            prop_assert!(decoder.partial.len() <= 1014);
        }
    }

    #[test]
    fn tungstenite_reads_what_is_written(payload in vec(any::<u8>(), 0..70_000)) {
        let bytes = frame(Opcode::Binary, &payload);
        let io = Bytewise(Cursor::new(bytes.to_vec()));
        let mut socket = WebSocket::from_raw_socket(io, Role::Client, None);
        prop_assert_eq!(socket.read().unwrap(), tungstenite::Message::binary(payload.clone()));
        let expected = WsFrame::message(payload, tungstenite::protocol::frame::coding::OpCode::Data(
            tungstenite::protocol::frame::coding::Data::Binary), true);
        let mut written = Vec::new();
        expected.format(&mut written).unwrap();
        prop_assert_eq!(&bytes[..], &written[..]);
    }
}
