use proptest::prelude::*;

use super::*;

fn put() -> Put {
    Put {
        number: 3,
        room: RoomName {
            presence: "Room".into(),
            topic: "room:42".into(),
        },
        own: MetaRef { inc: 5, number: 6 },
        what: Key::new("7").ok().zip(MetaText::new("{\"a\":1}").ok()),
        replaces: Some(EntryId { inc: 8, number: 9 }),
        linger: Some(10),
    }
}

fn messages() -> Vec<Message> {
    let plain = Put {
        replaces: None,
        linger: None,
        ..put()
    };
    let own = MetaRef { inc: 5, number: 7 };
    let meta = MetaText::new("{}").ok();
    let ops = vec![
        Op::Put(put()),
        Op::Put(plain.clone()),
        Op::Update {
            number: 3,
            own,
            meta,
        },
        Op::Linger {
            number: 3,
            millis: 10,
        },
        Op::Back { number: 3 },
        Op::Del { number: 3 },
        Op::Unknown,
    ];
    vec![
        Message::Delta {
            inc: 1,
            from: 2,
            ops,
        },
        Message::Beat {
            inc: 1,
            seq: 2,
            version: 3,
            hash: 4,
        },
        Message::Pull {
            inc: 1,
            have: Some(2),
            snapshot: None,
        },
        Message::Pull {
            inc: 1,
            have: None,
            snapshot: Some((3, 4)),
        },
        Message::Snapshot {
            inc: 1,
            version: 2,
            part: 0,
            parts: 1,
            entries: vec![Op::Put(plain)],
        },
        Message::Bye { inc: 1 },
    ]
}

#[test]
fn a_message_is_read_as_it_was_written() {
    for message in messages() {
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn a_message_that_ends_early_is_refused() {
    for message in messages() {
        let bytes = message.encode();
        for end in 0..bytes.len() {
            if let Ok(shorter) = Message::decode(&bytes[..end]) {
                // Cut between two operations, it is the message of those before.
                assert!(matches!(
                    shorter,
                    Message::Delta { .. } | Message::Snapshot { .. }
                ));
            }
        }
    }
}

#[test]
fn an_operation_of_a_later_release_is_skipped() {
    let bytes = delta(
        1,
        1,
        [&[200, 1, 2, 3][..], &Op::Back { number: 4 }.encode()].into_iter(),
    );
    let ops = vec![Op::Unknown, Op::Back { number: 4 }];
    assert_eq!(
        Message::decode(&bytes),
        Ok(Message::Delta {
            inc: 1,
            from: 1,
            ops
        })
    );
}

#[test]
fn a_key_or_meta_that_breaks_clients_is_never_read() {
    let mut bytes = Op::Put(put()).encode().into_vec();
    let at = bytes
        .windows(3)
        .position(|part| part == [0, 1, b'7'])
        .unwrap();
    bytes.splice(at..at + 3, [&[0, 9][..], b"__proto__"].concat());
    let Ok(Op::Put(read)) = Op::decode(&bytes) else {
        panic!("not a put");
    };
    assert_eq!(read.what, None);
}

#[test]
fn another_format_is_refused_by_its_number() {
    assert_eq!(Message::decode(&[9, 0]), Err(MessageError::Format(9)));
    assert_eq!(
        Message::decode(&vec![1; MAX_MESSAGE + 1]),
        Err(MessageError::TooLong(MAX_MESSAGE + 1))
    );
}

proptest! {
    #[test]
    fn garbage_is_an_error_or_a_message_that_can_be_written(
        kind in 0..6_u8,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [&[FORMAT, kind][..], &bytes].concat();
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert!(message.encode().len() <= bytes.len() + 200);
        }
    }
}
