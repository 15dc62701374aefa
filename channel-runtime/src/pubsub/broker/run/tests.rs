//! The connection, over fake engines.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::{
    super::{Broker, Kind},
    *,
};
use crate::pubsub::{ClusterOptions, EnvelopeError, LocalDelivery, Status, adapter::Receive};

const KIND: Kind = Kind {
    name: "Echo",
    naming: |namespace, kind, key| format!("{namespace}:{kind}:{key}").into(),
};

/// An engine that returns the messages it is sent, and exposes its links' receivers.
struct Echo(mpsc::UnboundedSender<Incoming>);

struct EchoLink(Incoming);

impl Driver for Echo {
    type BrokerConnection = EchoLink;

    fn address(&self) -> String {
        "here".to_owned()
    }

    async fn connect(&self, incoming: Incoming) -> Result<EchoLink, DriverError> {
        self.0.send(incoming.clone())?;
        Ok(EchoLink(incoming))
    }
}

impl BrokerConnection for EchoLink {
    async fn publish(
        &self,
        batch: &[Outgoing],
    ) -> Result<Vec<Result<(), DriverError>>, DriverError> {
        for Outgoing { channel, body } in batch {
            self.0.message(channel, body.clone());
        }
        Ok(batch.iter().map(|_| Ok(())).collect())
    }

    async fn subscribe(&self, _: &[Arc<str>]) -> Result<(), DriverError> {
        Ok(())
    }

    async fn unsubscribe(&self, _: &[Arc<str>]) -> Result<(), DriverError> {
        Ok(())
    }
}

/// An unreachable engine that reports every attempt to connect.
struct Away(mpsc::UnboundedSender<Instant>);

impl Driver for Away {
    type BrokerConnection = EchoLink;

    fn address(&self) -> String {
        "nowhere".to_owned()
    }

    async fn connect(&self, _: Incoming) -> Result<EchoLink, DriverError> {
        self.0.send(Instant::now())?;
        Err("nobody\n there".into())
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Receive for Count {
    fn receive(&self, _: Bytes) -> Result<(), EnvelopeError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_was_given_up_hands_in_nothing_more() {
    let (links, mut receivers) = mpsc::unbounded_channel();
    let engine = Broker::lazy(KIND, Echo(links), ClusterOptions::new()).unwrap();
    let count = Arc::new(Count::default());
    engine.start(LocalDelivery::new(count.clone())).unwrap();
    let counted = || count.0.load(Ordering::Relaxed);
    let first = receivers.recv().await.unwrap();
    first.message("channel:topic:a", Bytes::new());
    assert_eq!(counted(), 1);
    first.closed("cut off");
    let second = receivers.recv().await.unwrap();
    // Both links deliver it; the first one has not noticed yet that it is over.
    for incoming in [first, second] {
        incoming.message("channel:topic:a", Bytes::new());
    }
    assert_eq!(counted(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_is_tried_again_ever_more_seldom_and_not_in_step() {
    let (tries, mut tried) = mpsc::unbounded_channel();
    let options = ClusterOptions::new();
    let (first, most) = options.backoff;
    let engine = Broker::lazy(KIND, Away(tries), options).unwrap();
    engine
        .start(LocalDelivery::new(Arc::new(Count::default())))
        .unwrap();
    let mut expected = first;
    let mut last = tried.recv().await.unwrap();
    let mut parts = Vec::new();
    for _ in 0..40 {
        let next = tried.recv().await.unwrap();
        let waited = next - last;
        let bounds = expected * 3 / 4..=expected * 5 / 4 + Duration::from_millis(1);
        assert!(bounds.contains(&waited), "{waited:?} for {expected:?}");
        parts.push(waited.div_duration_f64(expected));
        (last, expected) = (next, (expected * 2).min(most));
    }
    let (least, most) = parts
        .iter()
        .fold((2.0_f64, 0.0_f64), |(least, most), part| {
            (least.min(*part), most.max(*part))
        });
    assert!(most - least > 0.1, "{parts:?}");
    let Status::Down { error, .. } = engine.health().status else {
        panic!("{:?}", engine.health())
    };
    assert_eq!(error, "nobody there");
}
