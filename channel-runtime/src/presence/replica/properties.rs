//! Whatever messages come, in whatever order: nothing panics, the view is what follows from the
//! entries, and what a node lists itself stays.

use proptest::prelude::*;

use super::*;
use crate::presence::{
    key::Key,
    message::{EntryId, Message, Op, Put},
    meta::MetaText,
};

const INCS: std::ops::Range<u64> = 1..5;

/// The node under test is one of them, so that others speak in its name too.
const OWN: u64 = 1;

#[derive(Clone, Debug, PartialEq)]
struct Sender(&'static str);

impl Address for Sender {
    fn name(&self) -> &str {
        self.0
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..4_u64, 1 => Just(u64::MAX - 1), 1 => Just(u64::MAX)]
}

fn own() -> impl Strategy<Value = MetaRef> {
    (INCS, 0..3_u32).prop_map(|(inc, number)| MetaRef { inc, number })
}

fn room() -> RoomName {
    RoomName {
        presence: "Room".into(),
        topic: "room:1".into(),
    }
}

fn text(text: &str) -> MetaText {
    MetaText::new(text).unwrap()
}

fn put() -> impl Strategy<Value = Put> {
    let what = prop_oneof![Just(None), (0..2_usize).prop_map(Some)];
    let replaces = proptest::option::of((INCS, number()));
    let linger = proptest::option::of(prop_oneof![Just(0), 1..3_000_u32, Just(u32::MAX - 1)]);
    (number(), own(), what, replaces, linger).prop_map(|(number, own, what, replaces, linger)| {
        Put {
            number,
            room: room(),
            own,
            what: what.map(|at| (Key::new(["a", "b"][at]).unwrap(), text("{}"))),
            replaces: replaces.map(|(inc, number)| EntryId { inc, number }),
            linger,
        }
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        put().prop_map(Op::Put),
        (number(), own(), any::<bool>()).prop_map(|(number, own, valid)| Op::Update {
            number,
            own,
            meta: valid.then(|| text("{\"n\":1}")),
        }),
        (number(), any::<u32>()).prop_map(|(number, millis)| Op::Linger { number, millis }),
        number().prop_map(|number| Op::Back { number }),
        number().prop_map(|number| Op::Del { number }),
        Just(Op::Unknown),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let ops = || proptest::collection::vec(op(), 0..4);
    let begun = proptest::option::of((number(), any::<u32>()));
    prop_oneof![
        4 => (INCS, number(), ops()).prop_map(|(inc, from, ops)| Message::Delta { inc, from, ops }),
        3 => (INCS, number(), number(), any::<u64>()).prop_map(|(inc, seq, version, hash)| {
            Message::Beat { inc, seq, version, hash }
        }),
        1 => (INCS, proptest::option::of(number()), begun).prop_map(|(inc, have, snapshot)| {
            Message::Pull { inc, have, snapshot }
        }),
        3 => (INCS, number(), 0..3_u32, prop_oneof![0..3_u32, Just(u32::MAX)], ops()).prop_map(
            |(inc, version, part, parts, entries)| Message::Snapshot {
                inc,
                version,
                part,
                parts,
                entries,
            },
        ),
        1 => INCS.prop_map(|inc| Message::Bye { inc }),
    ]
}

#[derive(Clone, Debug)]
enum Happening {
    Receive(usize, Message),
    Garbage(Vec<u8>),
    Pass(u64),
    Connected(bool),
    Track(usize),
    Release(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0..2_usize, message()).prop_map(|(from, message)| Happening::Receive(from, message)),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Happening::Garbage),
        3 => (0..20_000_u64).prop_map(Happening::Pass),
        1 => any::<bool>().prop_map(Happening::Connected),
        1 => (0..2_usize).prop_map(Happening::Track),
        1 => any::<bool>().prop_map(Happening::Release),
    ]
}

proptest! {
    #[test]
    fn no_message_breaks_a_node(
        happenings in proptest::collection::vec(happening(), 0..60),
    ) {
        let mut now = Duration::from_secs(1);
        let mut replica: Replica<Sender> = Replica::new(OWN, Timing::default(), now);
        let mut held = Vec::new();
        for what in happenings {
            match what {
                Happening::Receive(from, message) => {
                    let from = Sender(["x", "y"][from]);
                    replica.receive(&from, &message.encode(), now);
                }
                Happening::Garbage(bytes) => replica.receive(&Sender("x"), &bytes, now),
                Happening::Pass(millis) => now += Duration::from_millis(millis),
                Happening::Connected(connected) => replica.set_connected(connected, now),
                Happening::Track(key) => {
                    let key = Key::new(["a", "b"][key]).unwrap();
                    let tracked =
                        replica.track(&room(), &key, &text("{}"), |_| true, &Limits::default());
                    held.push((key, tracked.unwrap()));
                }
                Happening::Release(lingers) => {
                    if let Some((_, holder)) = held.pop() {
                        replica.release(holder, Duration::from_secs(u64::from(lingers)));
                    }
                }
            }
            replica.tick(now);
            drop(replica.take_outputs());
            for room in replica.due(now).0 {
                prop_assert!(replica.take_diff(&room, now).is_some());
            }
            let view = replica.view(&room());
            let shown: std::collections::BTreeSet<_> = view
                .into_iter()
                .flat_map(|view| view.list())
                .map(|(key, own, _)| ("room:1".to_owned(), key.clone(), own))
                .collect();
            let rule: std::collections::BTreeSet<_> = replica.recomputed().into_keys().collect();
            prop_assert_eq!(shown, rule);
            for (key, holder) in &held {
                prop_assert!(replica.meta(*holder).is_some());
                let view = replica.view(&room()).into_iter();
                let metas = view.flat_map(|view| view.get(key.as_str()));
                prop_assert!(metas.count() > 0, "{key:?} is listed by its own node");
            }
        }
    }
}
