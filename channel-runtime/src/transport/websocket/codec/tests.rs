use super::*;

const LIMITS: Limits = Limits {
    frame: 1000,
    message: 1500,
};

/// Encodes a masked frame, as a client sends it.
pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let mask = [0x12, 0x34, 0x56, 0x78];
    out.extend_from_slice(&mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    out
}

/// Decodes the bytes in pieces of `piece` bytes; returns the messages, and the code of the close if
/// there is an error.
pub(super) fn decode(bytes: &[u8], piece: usize) -> (Vec<Message>, Option<u16>) {
    let mut decoder = Decoder::new(LIMITS);
    let mut messages = Vec::new();
    for chunk in bytes.chunks(piece) {
        let mut chunk = chunk.to_vec();
        if let Err(close) = decoder.read(&mut chunk, |read| messages.push(read.into_message())) {
            return (messages, Some(close.code));
        }
    }
    (messages, None)
}

#[test]
fn messages_are_read_whole_or_in_any_pieces() {
    let mut bytes = masked(0x81, b"hello");
    bytes.extend(masked(0x82, &[7; 300]));
    bytes.extend(masked(0x89, b"p"));
    bytes.extend(masked(0x81, b""));
    let expected = [
        Message::Text("hello".into()),
        Message::Binary(vec![7; 300].into()),
        Message::Ping(Bytes::from_static(b"p")),
        Message::Text("".into()),
    ];
    for piece in 1..=bytes.len() {
        let (messages, close) = decode(&bytes, piece);
        assert_eq!(
            (messages.as_slice(), close),
            (&expected[..], None),
            "in pieces of {piece}"
        );
    }
}

#[test]
fn fragments_become_one_message_with_control_frames_between() {
    let mut bytes = masked(0x01, "é".as_bytes().split_at(1).0);
    bytes.extend(masked(0x89, b"mid"));
    bytes.extend(masked(0x00, "é".as_bytes().split_at(1).1));
    bytes.extend(masked(0x80, b"!"));
    let (messages, close) = decode(&bytes, bytes.len());
    let expected = [
        Message::Ping(Bytes::from_static(b"mid")),
        Message::Text("é!".into()),
    ];
    assert_eq!((messages.as_slice(), close), (&expected[..], None));
}

#[test]
fn each_violation_has_its_code() {
    let unmasked = [0x81, 0x01, b'a'];
    let unfinished_ping = masked(0x09, b"");
    let two_starts = [masked(0x01, b"a"), masked(0x01, b"b")].concat();
    let large_message = [
        masked(0x02, &[0; 900]),
        masked(0x00, &[0; 500]),
        masked(0x80, &[0; 200]),
    ]
    .concat();
    for (name, bytes, code) in [
        ("reserved bits", masked(0xc1, b"a"), 1002),
        ("opcode 3", masked(0x83, b"a"), 1002),
        ("no mask", unmasked.to_vec(), 1002),
        ("a ping in fragments", unfinished_ping, 1002),
        ("a long ping", masked(0x89, &[0; 126]), 1002),
        ("a continuation of nothing", masked(0x80, b"a"), 1002),
        ("a start within a message", two_starts, 1002),
        ("a frame over the limit", masked(0x82, &[0; 1001]), 1009),
        ("a message over the limit", large_message, 1009),
        (
            "a length of 2^63",
            [&[0x82, 0xff, 0x80][..], &[0; 11]].concat(),
            1009,
        ),
        ("text that is not UTF-8", masked(0x81, b"\xff"), 1007),
        ("a close of one byte", masked(0x88, b"\x03"), 1002),
        (
            "close code 1005",
            masked(0x88, &1005_u16.to_be_bytes()),
            1002,
        ),
        (
            "a close reason that is not UTF-8",
            masked(0x88, b"\x03\xe8\xff"),
            1007,
        ),
    ] {
        assert_eq!(decode(&bytes, bytes.len()).1, Some(code), "{name}");
        assert_eq!(decode(&bytes, 1).1, Some(code), "{name}, byte by byte");
    }
}

#[test]
fn an_oversized_frame_is_refused_by_its_header() {
    let bytes = masked(0x82, &[0; 5000]);
    let (messages, close) = decode(&bytes[..8], 8);
    assert_eq!((messages.len(), close), (0, Some(1009)));
}

#[test]
fn a_close_may_carry_a_code() {
    assert_eq!(decode(&masked(0x88, b""), 100).0, [Message::Close(None)]);
    let bytes = masked(0x88, b"\x03\xe8bye");
    assert_eq!(decode(&bytes, 100).0, [Message::Close(Some(1000))]);
}

#[test]
fn headers_have_the_shortest_length() {
    let head = |len| {
        let mut out = [0; MAX_HEADER];
        let used = header(Opcode::Text, len, &mut out);
        out[..used].to_vec()
    };
    assert_eq!(head(0), [0x81, 0]);
    assert_eq!(head(125), [0x81, 125]);
    assert_eq!(head(126), [0x81, 126, 0, 126]);
    assert_eq!(head(65535), [0x81, 126, 0xff, 0xff]);
    assert_eq!(head(65536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(&frame(Opcode::Binary, b"ab")[..], [0x82, 2, b'a', b'b']);
}

#[test]
fn nothing_is_kept_between_whole_frames() {
    let mut decoder = Decoder::new(LIMITS);
    let mut bytes = masked(0x81, &[b'x'; 900]);
    decoder
        .read(&mut bytes[..500], |_| panic!("it is not whole"))
        .unwrap();
    let mut count = 0;
    decoder.read(&mut bytes[500..], |_| count += 1).unwrap();
    assert_eq!(count, 1);
    assert_eq!(decoder.partial.capacity(), 0);
}

#[test]
fn a_frame_made_in_place_is_as_any_other() {
    for len in [0, 1, 125, 126, 65_535, 65_536] {
        let behind_room = vec![b'x'; HEADER_ROOM + len];
        let text = &behind_room[HEADER_ROOM..];
        let expected = frame(Opcode::Text, text);
        assert_eq!(frame_in_place(behind_room), expected, "{len} bytes");
    }
}
