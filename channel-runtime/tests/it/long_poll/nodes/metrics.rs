//! The metrics of requests that go from node to node.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::Roamer;
use crate::support::hub::Hub;

#[test]
fn requests_for_sessions_of_other_nodes_are_counted_by_their_kind_and_outcome() {
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(async {
            let hub = Hub::default();
            let [a, b] = hub.nodes(["a", "b"]);
            let mut client = Roamer::joined(&a, &b).await;
            assert_eq!(client.poll(&a).await.status(), 204);
            hub.set_down(true);
            assert_eq!(client.poll(&b).await.http, 503);
            hub.set_down(false);
            hub.kill("a");
            assert_eq!(client.publish(&b, &[]).await, 410);
        });
    });
    let mut counted = BTreeMap::new();
    for (key, _, _, value) in seen.snapshot().into_vec() {
        let (name, labels) = key.key().clone().into_parts();
        if let DebugValue::Counter(count) = value
            && name.as_str() == "channel_longpoll_forwarded_total"
        {
            let labels: Vec<_> = labels
                .iter()
                .map(|label| label.value().to_owned())
                .collect();
            counted.insert(labels.join(" "), count);
        }
    }
    let expected = [
        ("poll answered", 1),
        ("poll unreachable", 1),
        ("publish answered", 1),
        ("publish gone", 1),
    ];
    assert_eq!(
        counted,
        expected
            .map(|(what, count)| (what.to_owned(), count))
            .into()
    );
}
