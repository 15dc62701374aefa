use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::pubsub::distributed::{Message, decode};

const BOX: &str = "box";

/// The messages of a mailbox, each with whether it was for another node of this name.
#[derive(Default)]
struct Got(Mutex<Vec<(Peer, Bytes, bool)>>);

impl NodeHandler for Got {
    fn receive(&self, from: &Peer, body: Bytes) {
        self.0.lock().push((from.clone(), body, true));
    }

    fn misdirected(&self, from: &Peer, body: Bytes) {
        self.0.lock().push((from.clone(), body, false));
    }
}

struct Node {
    here: Peer,
    boxes: NodeHandlers,
    got: Arc<Got>,
}

fn token(secrets: &[u8]) -> Token {
    let secrets = secrets.iter().map(|byte| [*byte; 32]);
    Token::new(secrets, "channel mail").unwrap()
}

fn node(name: &str, secrets: &[u8]) -> Node {
    let (boxes, got) = (NodeHandlers::default(), Arc::new(Got::default()));
    boxes.open(BOX, token(secrets), got.clone());
    let here = Peer {
        node: name.to_owned(),
        origin: Origin::random(),
    };
    Node { here, boxes, got }
}

impl Node {
    fn write(&self, to: &Node, body: &[u8]) -> Bytes {
        let sealed = self.boxes.seal(&self.here, to.here.origin, BOX, body);
        sealed.unwrap().unwrap()
    }

    fn take(&self, message: Bytes) -> Result<(), EnvelopeError> {
        match decode(message)? {
            Message::NodeMessage(mail) => self.boxes.receive(self.here.origin, &mail),
            Message::Broadcast(_) => Ok(()),
        }
    }

    fn got(&self) -> Vec<(Peer, Bytes, bool)> {
        std::mem::take(&mut self.got.0.lock())
    }
}

#[test]
fn a_message_arrives_once_and_says_who_wrote_it() {
    let [a, b] = ["a", "b"].map(|name| node(name, &[1]));
    let body = a.write(&b, b"hello");
    assert_eq!(b.take(body.clone()), Ok(()));
    assert_eq!(b.got(), [(a.here.clone(), Bytes::from("hello"), true)]);
    assert_eq!(b.take(body), Err(EnvelopeError::Replayed));
    assert!(b.got().is_empty());
}

#[test]
fn a_message_to_another_process_of_the_name_is_known_for_that() {
    let [a, before, after] = ["a", "b", "b"].map(|name| node(name, &[1]));
    assert_eq!(after.take(a.write(&before, b"hello")), Ok(()));
    assert_eq!(after.got(), [(a.here, Bytes::from("hello"), false)]);
}

#[test]
fn a_message_to_all_arrives_at_each_node_once() {
    let [a, b, c] = ["a", "b", "c"].map(|name| node(name, &[1]));
    let sealed = a.boxes.seal(&a.here, Origin::ALL, BOX, b"hello");
    let body = sealed.unwrap().unwrap();
    for other in [b, c] {
        assert_eq!(other.take(body.clone()), Ok(()));
        assert_eq!(other.got(), [(a.here.clone(), Bytes::from("hello"), true)]);
        assert_eq!(other.take(body.clone()), Err(EnvelopeError::Replayed));
    }
}

#[test]
fn nodes_with_a_key_in_common_understand_each_other_while_it_is_changed() {
    let [old, both, new] = [&[1][..], &[1, 2], &[2, 1]].map(|secrets| node("n", secrets));
    for (from, to) in [
        (&old, &both),
        (&both, &old),
        (&both, &new),
        (&new, &both),
        (&old, &new),
    ] {
        assert_eq!(to.take(from.write(to, b"x")), Ok(()));
        assert_eq!(to.got().len(), 1);
    }
    assert_eq!(old.take(new.write(&old, b"x")), Err(EnvelopeError::Forged));
    assert!(old.got().is_empty());
}

#[test]
fn a_message_to_a_mailbox_that_is_not_there_is_dropped() {
    let [a, b] = ["a", "b"].map(|name| node(name, &[1]));
    a.boxes.open("more", token(&[1]), Arc::new(Got::default()));
    let body = a.boxes.seal(&a.here, b.here.origin, "more", b"x");
    assert_eq!(b.take(body.unwrap().unwrap()), Ok(()));
    assert!(a.boxes.seal(&a.here, b.here.origin, "none", b"x").is_none());
}

proptest! {
    #[test]
    fn properties_a_message_arrives_as_it_was_written_and_shows_nothing(
        names: [String; 2], body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let [a, b] = names.each_ref().map(|name| node(name, &[1]));
        let message = a.write(&b, &body);
        let shows = message.windows(body.len().max(1)).any(|part| part == body);
        prop_assert!(body.len() < 4 || !shows);
        prop_assert_eq!(b.take(message), Ok(()));
        prop_assert_eq!(b.got(), [(a.here, Bytes::from(body), true)]);
    }

    #[test]
    fn properties_a_message_that_is_altered_or_cut_has_no_effect(
        body: Vec<u8>, at: prop::sample::Index, flip in 1..=u8::MAX, cut: bool,
    ) {
        let [a, b] = ["a", "b"].map(|name| node(name, &[1]));
        let good = a.write(&b, &body);
        let at = at.index(good.len());
        let mut bytes = good.to_vec();
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] ^= flip,
        }
        // An altered message may be a broadcast, or for an unknown mailbox.
        let _any = b.take(bytes.into());
        prop_assert!(b.got().is_empty());
        // It must not have used up the original message.
        prop_assert_eq!(b.take(good), Ok(()));
        prop_assert_eq!(b.got().len(), 1);
    }

    #[test]
    fn properties_messages_count_once_each_in_any_order(
        order in prop::collection::vec(0..8_usize, 0..40),
    ) {
        let [a, b] = ["a", "b"].map(|name| node(name, &[1]));
        let messages: Vec<_> = (0..8_u8).map(|n| a.write(&b, &[n])).collect();
        let mut times = HashMap::new();
        for n in order {
            let _replayed = b.take(messages[n].clone());
            *times.entry(n).or_insert(0_u8) += 1;
        }
        let got: Vec<_> = b.got().into_iter().map(|(_, body, _)| body[0]).collect();
        let distinct: std::collections::HashSet<_> = got.iter().copied().collect();
        prop_assert_eq!(got.len(), times.len());
        prop_assert_eq!(distinct.len(), times.len());
    }

    #[test]
    fn properties_no_bytes_behind_a_messages_head_make_the_decoder_panic(noise: Vec<u8>) {
        let b = node("b", &[1]);
        for kind in [2, 3] {
            let _any = b.take([&[b'c', b'h', 1, kind][..], &noise].concat().into());
            let head = [&[b'c', b'h', 1, kind][..], &[9; 16], &[0, 0, 0, 1, 0, 0, 0, 3], b"bbox"];
            let _any = b.take([&head.concat()[..], &noise].concat().into());
        }
        prop_assert!(b.got().is_empty());
    }
}
